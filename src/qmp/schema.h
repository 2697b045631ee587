// query-qmp-schema: the registry's described types as QEMU's introspection writes them (QEMU's
// docs/devel/qapi-code-gen, "Client JSON Protocol introspection"). Types have numbers for names, since only
// members, commands and events are an interface. Control loop.
#pragma once

#include <boost/json/fwd.hpp>

namespace nandu {

class QmpRegistry;

boost::json::array QmpSchema(const QmpRegistry& registry);

}  // namespace nandu

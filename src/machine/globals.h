// What -global says of a device that -device adds. Pure, any thread.
#pragma once

#include <boost/json/object.hpp>
#include <span>

#include <nandu/device.h>

#include "base/result.h"
#include "machine/config.h"

namespace nandu {

// `options` with the defaults for `factory`'s driver filled in; what is there already stays. An error names a
// property that the driver does not have.
Result<boost::json::object> WithGlobals(const DeviceFactory& factory, boost::json::object options,
                                        std::span<const GlobalConfig> globals);

}  // namespace nandu

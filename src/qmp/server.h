// The QMP server: the registry, its sessions (one per -qmp or -mon mode=control) and the events they hear.
// Control loop.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "qmp/registry.h"
#include "qmp/session.h"

namespace nandu {

class QmpServer {
 public:
  // `realtime_ns`: CLOCK_REALTIME, for the time stamps of events.
  QmpServer(VersionInfo version, std::function<int64_t()> realtime_ns);

  // Bind all commands before the first session is added. query-commands, query-qmp-schema and
  // qmp_capabilities are there already.
  QmpRegistry& registry() { return registry_; }

  Result<> AddSession(std::shared_ptr<Chardev> chardev, bool pretty = false);
  // To every session that has negotiated. An event is declared in the registry first.
  void Emit(std::string_view event, const boost::json::object& data);

 private:
  const VersionInfo version_;
  const std::function<int64_t()> realtime_ns_;
  QmpRegistry registry_;
  std::vector<std::unique_ptr<QmpSession>> sessions_;
};

}  // namespace nandu

// The QMP server: the registry, its sessions (one per -qmp or -mon mode=control) and the events they hear.
// Control loop.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "qmp/event_throttle.h"
#include "qmp/registry.h"
#include "qmp/session.h"

namespace nandu {

class QmpServer {
 public:
  // `realtime_ns`: CLOCK_REALTIME, for the time stamps of events. `make_timer`: for events that are kept to
  // one in an interval.
  QmpServer(VersionInfo version, std::function<int64_t()> realtime_ns, EventThrottle::MakeTimer make_timer);

  // Bind all commands before the first session is added. query-commands, query-qmp-schema and
  // qmp_capabilities are there already.
  QmpRegistry& registry() { return registry_; }

  Result<> AddSession(std::shared_ptr<Chardev> chardev, bool pretty = false);
  // To every session that has negotiated. An event is declared in the registry first.
  void Emit(std::string_view event, const boost::json::object& data);

 private:
  void Send(const boost::json::value& event);

  const VersionInfo version_;
  const std::function<int64_t()> realtime_ns_;
  EventThrottle throttle_;
  QmpRegistry registry_;
  std::vector<std::unique_ptr<QmpSession>> sessions_;
};

}  // namespace nandu

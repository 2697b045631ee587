#include "qmp/event_throttle.h"

#include <utility>

namespace nandu {

void EventThrottle::Emit(std::string_view name, int64_t interval_ns, boost::json::value event) {
  Entry& entry = entries_.try_emplace(std::string(name)).first->second;
  if (entry.armed) {
    entry.held = std::move(event);
    return;
  }
  entry.interval_ns = interval_ns;
  if (!entry.timer) {
    entry.timer = make_timer_([this, &entry] { OnInterval(entry); });
  }
  entry.armed = true;
  entry.timer->ArmAfter(interval_ns);
  send_(event);
}

void EventThrottle::OnInterval(Entry& entry) {
  entry.armed = false;
  if (const std::optional<boost::json::value> held = std::exchange(entry.held, std::nullopt)) {
    entry.armed = true;
    entry.timer->ArmAfter(entry.interval_ns);
    send_(*held);
  }
}

}  // namespace nandu

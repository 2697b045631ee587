// Keeps an event that may come in storms to one in an interval: the first goes out at once, of those that
// follow within the interval only the last one, when it is over. Host time. Control loop.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_function.h"
#include "loop/control_loop.h"

namespace nandu {

class EventThrottle {
 public:
  using MakeTimer = std::function<std::unique_ptr<HostTimer>(UniqueFunction<void()> fire)>;
  using Send = std::function<void(const boost::json::value& event)>;
  EventThrottle(MakeTimer make_timer, Send send)
      : make_timer_(std::move(make_timer)), send_(std::move(send)) {}

  void Emit(std::string_view name, int64_t interval_ns, boost::json::value event);

 private:
  struct Entry {
    int64_t interval_ns = 0;
    std::unique_ptr<HostTimer> timer;
    bool armed = false;  // an interval is running
    std::optional<boost::json::value> held;
  };
  void OnInterval(Entry& entry);

  const MakeTimer make_timer_;
  const Send send_;
  std::map<std::string, Entry, std::less<>> entries_;  // by name; they stay where they are
};

}  // namespace nandu

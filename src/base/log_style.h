// What a user asked of the log (-msg, -d): how a message on stderr begins, and whether it is held back. Set
// before threads start; MessagePrefix from any thread.
#pragma once

#include <string>

namespace nandu {

// What every message on stderr begins with: the time in UTC, and the guest's name.
struct MessageStyle {
  bool timestamp = false;
  std::string guest_name;  // empty: without
};
void SetMessageStyle(MessageStyle style);
std::string MessagePrefix();  // "2026-11-30T21:00:00.123456Z name "; empty by default

// Every RateLimitedLog writes every line from now on: who debugs a guest wants all of its faults.
void LogWithoutLimit();

}  // namespace nandu

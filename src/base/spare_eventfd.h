// Eventfds for what can do without one: a doorbell, an interrupt. Of the files this process may open the last
// few are left to what cannot (a monitor's connection, an image, a loop). Any thread. setrlimit(2),
// RLIMIT_NOFILE.
#pragma once

#include "base/unique_fd.h"

namespace nandu {

inline constexpr int kKeptFiles = 32;

// Does not block; empty where no file but the last kKeptFiles can be opened.
UniqueFd TakeSpareEventFd();

}  // namespace nandu

// CLOCK_MONOTONIC in nanoseconds: durations and deadlines of the host. Guest clocks come from loop/clock.h.
#pragma once

#include <cstdint>

namespace nandu {
int64_t MonotonicNs();
}

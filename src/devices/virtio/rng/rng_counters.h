// What virtio-rng counts.
#pragma once

#include "base/counter.h"

namespace nandu {

struct RngCounters {
  Counter requests;
  Counter bytes;
  Counter empty_replies;  // nothing to write to, or the host had no entropy
  Counter throttled;      // times the limit was reached with requests waiting
};

}  // namespace nandu

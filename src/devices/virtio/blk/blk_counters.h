// What virtio-blk counts, per device; added to by all its queues.
#pragma once

#include "base/counter.h"

namespace nandu {

struct BlkCounters {
  Counter reads, writes, flushes, discards, write_zeroes, get_ids;
  Counter read_bytes, written_bytes;
  Counter failed;          // the node answered an error and the guest was told
  Counter ignored_errors;  // ... and a policy said to ignore it
  Counter stopped;         // ... and the VM was stopped for it
  // Requests that never reached the node.
  Counter short_requests;  // no header, or no status byte
  Counter bad_ranges;      // beyond the end, or not a multiple of the block size
  Counter bad_segments;    // discard or write zeroes: their number, length or flags
  Counter read_only;
  Counter unsupported;  // a type that does not exist or was not offered
  Counter turns_cut;    // a guest kept a queue full beyond its share of a turn
};

}  // namespace nandu

// Why a ring was found malformed: one value, one counter and one sentence each.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nandu {

enum class RingFault : uint8_t {
  kNone,
  kBadSize,          // zero, above 32768, or no power of two for a split ring
  kMisaligned,       // an area that is not aligned as virtio 1.2, 2.7 and 2.8.10.1 demand
  kNotMapped,        // an area that is not wholly guest RAM
  kAvailableIndex,   // the driver's index is further ahead than the ring is long
  kOverrun,          // more made available than was given back: the ring holds no more
  kHeadRange,        // a head beyond the table
  kNextRange,        // a next field beyond the table
  kLoop,             // a chain longer than its table
  kTooLong,          // more segments than a request may have
  kZeroLength,       // a descriptor of no bytes
  kBufferRange,      // a buffer that is not guest RAM, or not writable where the device writes
  kWriteBeforeRead,  // a readable descriptor after a writable one
  kIndirectRefused,  // indirect without the feature
  kIndirectNested,   // an indirect table inside an indirect table
  kIndirectNext,     // an indirect descriptor that goes on, or (packed) comes after others
  kIndirectSize,     // an indirect table of no or of a broken number of descriptors
  kIndirectRange,    // an indirect table outside guest RAM
  kParkedInvalid,    // a parked chain of a saved state that does not fit its ring
};
inline constexpr size_t kRingFaultCount = static_cast<size_t>(RingFault::kParkedInvalid) + 1;

const char* RingFaultText(RingFault fault);

}  // namespace nandu

#include "devices/virtio/ring_fault.h"

namespace nandu {

const char* RingFaultText(RingFault fault) {
  switch (fault) {
    case RingFault::kNone: return "nothing is wrong";
    case RingFault::kBadSize: return "its size is not one a ring may have";
    case RingFault::kMisaligned: return "an area of the ring is misaligned";
    case RingFault::kNotMapped: return "an area of the ring is not guest memory";
    case RingFault::kAvailableIndex: return "the available index is further ahead than the ring is long";
    case RingFault::kOverrun: return "more requests are made available than the ring holds";
    case RingFault::kHeadRange: return "a head lies beyond the descriptor table";
    case RingFault::kNextRange: return "a descriptor's next lies beyond its table";
    case RingFault::kLoop: return "a chain is longer than its table";
    case RingFault::kTooLong: return "a chain has too many segments";
    case RingFault::kZeroLength: return "a descriptor has no bytes";
    case RingFault::kBufferRange: return "a buffer is not guest memory";
    case RingFault::kWriteBeforeRead: return "a readable descriptor follows a writable one";
    case RingFault::kIndirectRefused: return "an indirect descriptor without the feature";
    case RingFault::kIndirectNested: return "an indirect table inside an indirect table";
    case RingFault::kIndirectNext: return "an indirect descriptor that is not alone";
    case RingFault::kIndirectSize: return "an indirect table of a broken size";
    case RingFault::kIndirectRange: return "an indirect table that is not guest memory";
    case RingFault::kParkedInvalid: return "a parked chain does not fit its ring";
  }
  return "unknown";
}

}  // namespace nandu

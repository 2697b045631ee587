#include "devices/virtio/chain_body.h"

#include <algorithm>

#include "base/checked.h"

namespace nandu {
namespace {

// An indirect table: one translation where it lies in one region and is aligned, else a checked load per
// entry.
class IndirectTable {
 public:
  IndirectTable(const GuestMemory& memory, const RingDescriptor& desc)
      : memory_(memory), address_(desc.address) {
    if (address_ % alignof(uint64_t) == 0) {
      host_ = memory.HostPointer(Gpa{address_}, desc.length, Access::kRead);
    }
  }
  template <class Wire>
  bool Load(uint32_t entry, Wire* out) const {
    if (host_ != nullptr) {
      *out = CopyDescriptor<Wire>(host_ + size_t{16} * entry);
      return true;
    }
    uint64_t at = 0;
    return !AddOverflows(address_, uint64_t{16} * entry, &at) && memory_.Load(Gpa{at}, out);
  }

 private:
  const GuestMemory& memory_;
  const uint64_t address_;
  const std::byte* host_ = nullptr;
};

}  // namespace

void ChainBody::Clear() {
  // Bodies are kept for reuse; what one huge request grew is not.
  constexpr size_t kKeptSegments = 256;
  if (iov.capacity() > kKeptSegments) {
    std::vector<iovec>().swap(iov);
    std::vector<Segment>().swap(written_to);
  }
  iov.clear();
  written_to.clear();
  descriptors.clear();
  id = ring_slots = 0;
  pin = nullptr;
  readable_begin = writable_begin = writable_end = 0;
  readable_bytes = writable_bytes = trailer_bytes = 0;
  all_written = false;
}

void ChainBody::MarkDirty(uint64_t written) const {
  const GuestMemory& memory = *pin->memory;
  uint64_t from_start = all_written ? writable_bytes : std::min(written, writable_bytes);
  for (const Segment& segment : written_to) {
    const uint64_t here = std::min<uint64_t>(from_start, segment.length);
    if (here == 0) {
      break;
    }
    memory.MarkDirty(Gpa{segment.address}, here);
    from_start -= here;
  }
  uint64_t from_end = trailer_bytes;
  for (auto segment = written_to.rbegin(); from_end > 0 && segment != written_to.rend(); ++segment) {
    const uint64_t here = std::min<uint64_t>(from_end, segment->length);
    memory.MarkDirty(Gpa{segment->address + segment->length - here}, here);
    from_end -= here;
  }
}

RingFault ChainBuilder::AddBuffer(const RingDescriptor& desc) {
  const bool writable = (desc.flags & kDescWrite) != 0;
  if (++segments_ > kMaxChainSegments) {
    return RingFault::kTooLong;
  }
  if (desc.length == 0) {
    return RingFault::kZeroLength;
  }
  // virtio 1.2, 2.7.4.2: the driver MUST place writable descriptor elements after readable ones
  if (writable_ && !writable) {
    return RingFault::kWriteBeforeRead;
  }
  if (writable && !writable_) {
    writable_ = true;
    body_.writable_begin = body_.iov.size();
  }
  const Access access = writable ? Access::kWrite : Access::kRead;
  if (!memory_.ToIovecs(Gpa{desc.address}, desc.length, access, &body_.iov)) {
    return RingFault::kBufferRange;
  }
  if (body_.iov.size() > kMaxChainSegments) {  // buffers that cross regions take more than one
    return RingFault::kTooLong;
  }
  if (writable) {
    body_.written_to.push_back({desc.address, desc.length});
    body_.writable_bytes += desc.length;
  } else {
    body_.readable_bytes += desc.length;
  }
  return RingFault::kNone;
}

RingFault ChainBuilder::CheckIndirect(const RingDescriptor& desc, uint32_t* entries) const {
  if (!indirect_allowed_) {
    return RingFault::kIndirectRefused;
  }
  // virtio 1.2, 2.7.5.3.1: a driver MUST NOT set both INDIRECT and NEXT
  if ((desc.flags & kDescNext) != 0) {
    return RingFault::kIndirectNext;
  }
  if (desc.length == 0 || desc.length % 16 != 0) {
    return RingFault::kIndirectSize;
  }
  *entries = desc.length / 16;
  return RingFault::kNone;
}

RingFault ChainBuilder::AddSplitIndirect(const RingDescriptor& desc) {
  uint32_t entries = 0;
  if (const RingFault fault = CheckIndirect(desc, &entries); fault != RingFault::kNone) {
    return fault;
  }
  const IndirectTable table(memory_, desc);
  uint32_t at = 0;
  for (uint32_t taken = 0; taken < entries; ++taken) {
    SplitDescWire wire;
    if (!table.Load(at, &wire)) {
      return RingFault::kIndirectRange;
    }
    if ((wire.flags & kDescIndirect) != 0) {
      return RingFault::kIndirectNested;
    }
    if (const RingFault fault = AddBuffer({wire.address, wire.length, wire.flags});
        fault != RingFault::kNone) {
      return fault;
    }
    if ((wire.flags & kDescNext) == 0) {
      return RingFault::kNone;
    }
    at = wire.next;
    if (at >= entries) {
      return RingFault::kNextRange;
    }
  }
  return RingFault::kLoop;
}

RingFault ChainBuilder::AddPackedIndirect(const RingDescriptor& desc) {
  uint32_t entries = 0;
  if (const RingFault fault = CheckIndirect(desc, &entries); fault != RingFault::kNone) {
    return fault;
  }
  const IndirectTable table(memory_, desc);
  for (uint32_t i = 0; i < entries; ++i) {
    PackedDescWire wire;
    if (!table.Load(i, &wire)) {
      return RingFault::kIndirectRange;
    }
    if ((wire.flags & kDescIndirect) != 0) {
      return RingFault::kIndirectNested;
    }
    // virtio 1.2, 2.8.7: in an indirect table only the WRITE flag means something
    if (const RingFault fault = AddBuffer({wire.address, wire.length, wire.flags});
        fault != RingFault::kNone) {
      return fault;
    }
  }
  return RingFault::kNone;
}

void ChainBuilder::Finish() {
  if (!writable_) {
    body_.writable_begin = body_.iov.size();
  }
  body_.writable_end = body_.iov.size();
}

}  // namespace nandu

// What a DescChain holds, and how it is filled from untrusted descriptors. Internal to the virtqueue; its
// loop only.
#pragma once

#include <cstdint>
#include <memory>
#include <sys/uio.h>
#include <vector>

#include "devices/virtio/desc_chain.h"
#include "devices/virtio/ring_fault.h"
#include "devices/virtio/ring_wire.h"
#include "memory/guest_memory.h"

namespace nandu {

// One generation of guest memory, shared by the queue and the chains popped under it: a plain count, since
// all of them live on one loop.
struct MemoryPin {
  std::shared_ptr<const GuestMemory> memory;
  unsigned users = 0;
};

struct ChainBody {
  using Segment = GuestSegment;

  uint16_t id = 0;
  uint16_t ring_slots = 0;  // packed: ring entries it takes
  MemoryPin* pin = nullptr;
  std::vector<iovec>
      iov;  // [readable_begin, writable_begin) is readable, [writable_begin, writable_end) writable
  size_t readable_begin = 0;
  size_t writable_begin = 0;
  size_t writable_end = 0;
  uint64_t readable_bytes = 0;
  uint64_t writable_bytes = 0;
  uint64_t trailer_bytes = 0;  // taken from the end of the writable part
  bool all_written = false;
  std::vector<Segment> written_to;          // the writable part as guest addresses, for the dirty bitmap
  std::vector<RingDescriptor> descriptors;  // packed: as the ring said

  void Clear();
  void MarkDirty(uint64_t written) const;
};

// Adds descriptors one by one, each checked (virtio 1.2, 2.7.4.2 and 2.7.5).
class ChainBuilder {
 public:
  ChainBuilder(const GuestMemory& memory, bool indirect_allowed, ChainBody& body)
      : memory_(memory), indirect_allowed_(indirect_allowed), body_(body) {}

  RingFault AddBuffer(const RingDescriptor& desc);
  // The table's entries are linked by `next` in a split ring and stand one after the other in a packed one.
  RingFault AddSplitIndirect(const RingDescriptor& desc);
  RingFault AddPackedIndirect(const RingDescriptor& desc);
  void Finish();

 private:
  RingFault CheckIndirect(const RingDescriptor& desc, uint32_t* entries) const;

  const GuestMemory& memory_;
  const bool indirect_allowed_;
  ChainBody& body_;
  size_t segments_ = 0;
  bool writable_ = false;
};

// Copies a descriptor that the guest may be changing: each field is read once.
template <class Wire>
Wire CopyDescriptor(const std::byte* from) {
  static_assert(sizeof(Wire) == 16);
  uint64_t words[2];
  for (int i = 0; i < 2; ++i) {
    words[i] = __atomic_load_n(reinterpret_cast<const uint64_t*>(from) + i, __ATOMIC_RELAXED);
  }
  Wire wire;
  __builtin_memcpy(&wire, words, sizeof(wire));
  return wire;
}

}  // namespace nandu

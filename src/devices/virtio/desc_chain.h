// One request of the driver: a chain of descriptors, checked and translated. virtio 1.2, 2.6 to 2.8.
//
// Move-only; must be completed, parked or unpopped through its queue, on the queue's loop. It pins the memory
// it points to, so its iovecs stay valid whatever the guest or hotplug does meanwhile. Bodies are pooled by
// the queue: a pop allocates nothing in steady state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <sys/uio.h>
#include <vector>

#include "base/described.h"

namespace nandu {

// A request names at most this many segments, in its ring and its indirect table together; also what one
// preadv takes (IOV_MAX).
inline constexpr size_t kMaxChainSegments = 1024;

// One descriptor as the driver wrote it.
struct RingDescriptor {
  uint64_t address = 0;
  uint32_t length = 0;
  uint16_t flags = 0;
  bool operator==(const RingDescriptor&) const = default;
};
BOOST_DESCRIBE_STRUCT(RingDescriptor, (), (address, length, flags))

// A chain that was popped and not completed, as bounded plain data: re-validated, and its indirect table
// re-read, when it is taken up again. A split ring keeps the descriptors until they are used. A packed ring
// does not (used elements are written over them in the order of completion), so there they are recorded: all
// parked chains of a ring together name at most its size.
struct ParkedChain {
  uint16_t head = 0;                        // split: head index; packed: buffer id
  std::vector<RingDescriptor> descriptors;  // packed only
  bool operator==(const ParkedChain&) const = default;
};
BOOST_DESCRIBE_STRUCT(ParkedChain, (), (head, descriptors))

// A buffer where the guest knows it.
struct GuestSegment {
  uint64_t address = 0;  // guest-physical
  uint32_t length = 0;
};

class Virtqueue;
struct ChainBody;

class DescChain {
 public:
  DescChain(DescChain&& other) noexcept;
  DescChain& operator=(DescChain&&) = delete;
  DescChain(const DescChain&) = delete;
  DescChain& operator=(const DescChain&) = delete;
  ~DescChain();  // checks that it was given back: a lost chain is our bug

  // Their sum of lengths bounds nothing the guest owns: a guest may name one page a thousand times. Devices
  // cap what they serve.
  std::span<const iovec> readable() const;  // what the driver wrote
  std::span<const iovec> writable() const;  // what the device fills
  uint64_t readable_bytes() const;
  uint64_t writable_bytes() const;
  // The writable buffers as the driver named them, for devices whose requests are about guest memory itself.
  std::span<const GuestSegment> writable_segments() const;
  // Copies the first n readable bytes and drops them from readable(); false, and nothing changed, when there
  // are fewer.
  bool ReadHeader(void* out, size_t n);
  // Copies into the writable part at `offset`; false, and nothing written, when it does not fit.
  bool Write(uint64_t offset, const void* from, size_t n) const;
  // Takes the last n writable bytes away and returns where they go; nullopt when there are fewer. Counted as
  // written.
  std::optional<std::vector<iovec>> TakeTrailer(size_t n);
  // The same for a one-byte trailer (blk's status, net's ack), without an allocation; null when there is
  // none.
  std::byte* TakeLastByte();
  // The device may have written anywhere into writable(), whatever Complete says (a read that failed half
  // way): marks all of it dirty.
  void MarkAllWritten();
  uint16_t id() const;  // head index or buffer id: for traces and tests

 private:
  friend class Virtqueue;
  explicit DescChain(std::unique_ptr<ChainBody> body);
  std::unique_ptr<ChainBody> body_;
};

}  // namespace nandu

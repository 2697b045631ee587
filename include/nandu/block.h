// The block layer as a device sees it. A node is shared and lives on the control loop; a channel belongs to one queue and one
// I/O loop and carries its requests.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_function.h"

namespace nandu {

class EventLoop;

enum class BlkStatus : uint8_t { kOk, kIoError, kUnsupported, kNoSpace };  // data path: no strings, no allocation

// The completion record an I/O loop writes to; embedded in the request, so an I/O allocates nothing.
struct IoOp {
  void (*done)(IoOp* op, int32_t result) = nullptr;  // on the loop; result: bytes, or -errno
  uint64_t engine_data = 0;                          // the loop's own
  void* engine_pointer = nullptr;                    // the loop's own
};

// One request. The caller owns it and everything it points to until `done` ran. Offsets and bytes lie within the node's size
// and are multiples of its request_alignment; iov adds up to bytes for kRead and kWrite and is empty otherwise.
struct BlockRequest {
  enum class Op : uint8_t { kRead, kWrite, kFlush, kDiscard, kWriteZeroes };
  Op op = Op::kRead;
  bool fua = false;        // kWrite, kWriteZeroes: on stable storage before done
  bool may_unmap = false;  // kWriteZeroes: the range may be deallocated
  uint64_t offset = 0;     // bytes
  uint64_t bytes = 0;
  std::span<const iovec> iov;
  int sys_errno = 0;       // with a status other than kOk: why, where the node knows. The caller sets it to 0 before Submit
  void (*done)(BlockRequest* request, BlkStatus status) = nullptr;  // on the channel's loop, never from within Submit
  IoOp io;                                                          // the protocol node's
  uint64_t progress = 0;                                            // the protocol node's: bytes done by short transfers
  void* owner = nullptr;                                            // the caller's
};

class BlockChannel {
 public:
  BlockChannel() = default;
  BlockChannel(const BlockChannel&) = delete;
  BlockChannel& operator=(const BlockChannel&) = delete;
  virtual ~BlockChannel() = default;  // on its loop, with nothing in flight
  virtual void Submit(BlockRequest* request) = 0;
};

struct BlockLimits {
  uint64_t size_bytes = 0;
  uint32_t request_alignment = 1;      // bytes; offsets, lengths (and for O_DIRECT, memory) of requests the node takes as they are
  uint32_t logical_block_size = 512;   // bytes, what the guest should be told
  uint32_t physical_block_size = 512;  // bytes
  uint32_t discard_alignment = 512;    // bytes
  bool read_only = false;
  bool can_discard = false;
  bool can_write_zeroes = false;
  bool write_cache = true;             // false: every write is on stable storage when done (cache=writethrough)
};

class BlockNode {
 public:
  BlockNode() = default;
  BlockNode(const BlockNode&) = delete;
  BlockNode& operator=(const BlockNode&) = delete;
  virtual ~BlockNode() = default;

  virtual const std::string& node_name() const = 0;
  virtual std::string_view driver() const = 0;       // "file", "host_device", "raw"
  virtual BlockLimits limits() const = 0;            // any thread
  virtual std::string_view engine() const = 0;       // what serves its I/O: "io_uring" or "threads"
  // Control loop; the channel is used and destroyed on `loop`.
  virtual Result<std::unique_ptr<BlockChannel>> OpenChannel(EventLoop& loop) = 0;
  // Hand-over of the image to another process: flush and drop the image locks; take them again. Control loop.
  virtual Result<> ReleaseImage() = 0;
  virtual Result<> ClaimImage() = 0;

  // Who wants to know when the size in limits() has changed, until it is taken out again. Control loop.
  void AddSizeListener(const void* owner, std::function<void()> listener) { size_listeners_.emplace_back(owner, std::move(listener)); }
  void RemoveSizeListener(const void* owner) {
    std::erase_if(size_listeners_, [owner](const auto& each) { return each.first == owner; });
  }

 protected:
  void TellSize() const {
    for (const auto& [owner, listener] : size_listeners_) {
      listener();
    }
  }

 private:
  std::vector<std::pair<const void*, std::function<void()>>> size_listeners_;
};

}  // namespace nandu

// An emulated disk's way to its block node: requests on one I/O loop, what becomes of those that fail (rerror
// and werror as QEMU has them), and the medium of a drive that can change it.
//
// Create, ChangeMedium, Close, node and the destructor: control loop. Submit: the I/O loop, which takes no
// lock and allocates nothing per request. size_bytes, Stuck and the counters: any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <nandu/block.h>

#include "base/counter.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "loop/control_loop.h"
#include "loop/event_loop.h"

namespace nandu {

enum class DiskErrorPolicy : uint8_t { kReport, kIgnore, kEnospc, kStop };

// A request that the node failed, and what its policy makes of it: kReport, kIgnore or kStop.
struct DiskError {
  bool is_read = false;
  DiskErrorPolicy action = DiskErrorPolicy::kReport;
  bool no_space = false;
  int sys_errno = 0;
};

// kParked: the VM stops for it; whoever sent it keeps the command and sends it again once the VM runs.
enum class DiskResult : uint8_t { kOk, kFailed, kUnsupported, kParked };

class DiskFront;

// One request. The sender owns it, and everything `io` points to, until `done` ran. Of `io` the sender fills op,
// offset, bytes, iov, fua and may_unmap; the range lies within size_bytes().
struct DiskRequest {
  BlockRequest io;
  void (*done)(DiskRequest* request, DiskResult result) = nullptr;  // on the loop, never from within Submit
  void* owner = nullptr;
  DiskFront* front = nullptr;  // the front's own
  uint32_t slot = 0;
};

struct DiskCounters {
  Counter reads, writes, flushes, discards, write_zeroes;
  Counter read_bytes, written_bytes;
  Counter failed, ignored_errors, stopped;  // what became of errors
  Counter without_medium;                   // requests that met no medium
};

class DiskFront : public std::enable_shared_from_this<DiskFront> {
 public:
  struct Config {
    DiskErrorPolicy read_errors = DiskErrorPolicy::kReport;
    DiskErrorPolicy write_errors = DiskErrorPolicy::kEnospc;
    // Hears of every request that the node failed; true: the VM stops for it. The I/O loop.
    UniqueFunction<bool(const DiskError& error)> on_error;
    // The disk has a new size; the I/O loop. May be null.
    UniqueFunction<void()> on_size;
  };
  // Null `node`: no medium is in it.
  static Result<std::shared_ptr<DiskFront>> Create(ControlLoop& control, EventLoop& loop, Config config,
                                                   std::shared_ptr<BlockNode> node);
  ~DiskFront();
  DiskFront(const DiskFront&) = delete;
  DiskFront& operator=(const DiskFront&) = delete;

  EventLoop& loop() const { return loop_; }
  const DiskCounters& counters() const { return counters_; }
  // 0 without a medium. It may change while the guest runs.
  uint64_t size_bytes() const { return size_bytes_.load(std::memory_order_relaxed); }
  bool read_only() const { return read_only_.load(std::memory_order_relaxed); }
  bool has_medium() const { return has_medium_.load(std::memory_order_relaxed); }

  void Submit(DiskRequest* request);
  // What has been in flight for longer than `than_ns`: "node disk0, write at 4096, 12 s".
  void Stuck(int64_t now_ns, int64_t than_ns, std::vector<std::string>* out) const;

  // Another medium, or none. Requests in flight end on the old one, which then goes; requests that come
  // meanwhile fail. `done` on the control loop.
  void ChangeMedium(std::shared_ptr<BlockNode> node, UniqueFunction<void(Result<>)> done);
  const std::shared_ptr<BlockNode>& node() const { return node_; }
  // Before its owner goes, with nothing in flight: the channel is closed on its loop.
  static void Close(std::shared_ptr<DiskFront> front);

 private:
  // As many requests as are watched for hanging at a time; more are served unwatched.
  static constexpr size_t kSlots = 128;
  struct Slot {
    std::atomic<int64_t> since_ns{0};  // 0: free
    std::atomic<uint64_t> offset{0};
    std::atomic<BlockRequest::Op> op{BlockRequest::Op::kRead};
  };

  DiskFront(ControlLoop& control, EventLoop& loop, Config config);
  void Adopt(std::shared_ptr<BlockNode> node);
  void OnNewSize();
  void Swap(std::unique_ptr<BlockChannel> channel, UniqueFunction<void()> done);
  void Finish(DiskRequest* request, BlkStatus status);
  DiskResult Judge(const DiskRequest& request, BlkStatus status);
  void Count(const BlockRequest& io);

  ControlLoop& control_;
  EventLoop& loop_;
  const Config config_;
  DiskCounters counters_;
  std::shared_ptr<BlockNode> node_;  // control loop
  std::string node_name_;            // of the first medium, for sentences
  std::atomic<uint64_t> size_bytes_{0};
  std::atomic<bool> read_only_{false};
  std::atomic<bool> has_medium_{false};
  // The I/O loop's.
  std::unique_ptr<BlockChannel> channel_;
  size_t in_flight_ = 0;
  UniqueFunction<void()> on_idle_;  // a medium waits for it
  std::array<Slot, kSlots> slots_;
  std::vector<uint32_t> free_slots_;
};

}  // namespace nandu

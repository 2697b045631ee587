// Block nodes for tests. MemoryBlockNode keeps its data in memory and can be told to fail; HangingBlockNode
// lets requests stay in flight until the test releases them, as a disk behind a dead network does. Both work
// on any EventLoop, completing through Post, never from within Submit.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <gtest/gtest.h>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <nandu/block.h>

#include "loop/event_loop.h"

namespace nandu {

// A disk in memory.
class MemoryBlockNode : public BlockNode {
 public:
  explicit MemoryBlockNode(uint64_t size_bytes, std::string node_name = "disk0")
      : disk_(std::make_shared<Disk>()), node_name_(std::move(node_name)) {
    disk_->bytes.resize(size_bytes);
    limits_.size_bytes = size_bytes;
    limits_.can_discard = true;
    limits_.can_write_zeroes = true;
  }

  // What the next requests of an op answer instead of being served; the oldest first.
  void FailNext(BlockRequest::Op op, BlkStatus status) {
    const std::lock_guard lock(disk_->mutex);
    disk_->failures.push_back({op, status});
  }
  void SetLimits(const BlockLimits& limits) { limits_ = limits; }
  void Grow(uint64_t size_bytes) {
    disk_->bytes.resize(size_bytes);
    limits_.size_bytes = size_bytes;
    TellSize();
  }
  // While nothing is in flight.
  std::vector<std::byte>& bytes() { return disk_->bytes; }
  // Every request in the order it was served.
  struct Served {
    BlockRequest::Op op;
    uint64_t offset;
    uint64_t bytes;
    bool fua;
    bool may_unmap;
    bool operator==(const Served&) const = default;
  };
  std::vector<Served> served() const {
    const std::lock_guard lock(disk_->mutex);
    return disk_->served;
  }

  const std::string& node_name() const override { return node_name_; }
  std::string_view driver() const override { return "memory"; }
  BlockLimits limits() const override { return limits_; }
  std::string_view engine() const override { return "memory"; }
  Result<std::unique_ptr<BlockChannel>> OpenChannel(EventLoop& loop) override {
    return std::make_unique<Channel>(loop, disk_);
  }
  Result<> ReleaseImage() override { return {}; }
  Result<> ClaimImage() override { return {}; }

 protected:
  struct Disk {
    std::mutex mutex;
    std::vector<std::byte> bytes;
    struct Failure {
      BlockRequest::Op op;
      BlkStatus status;
    };
    std::deque<Failure> failures;
    std::vector<Served> served;

    BlkStatus Serve(const BlockRequest& request) {
      const std::lock_guard lock(mutex);
      served.push_back({request.op, request.offset, request.bytes, request.fua, request.may_unmap});
      const auto failure = std::find_if(failures.begin(), failures.end(),
                                        [&](const Failure& f) { return f.op == request.op; });
      if (failure != failures.end()) {
        const BlkStatus status = failure->status;
        failures.erase(failure);
        return status;
      }
      if (request.op == BlockRequest::Op::kFlush) {
        return BlkStatus::kOk;
      }
      if (request.offset > bytes.size() || request.bytes > bytes.size() - request.offset) {
        ADD_FAILURE() << "request beyond the end of the node: " << request.offset << "+" << request.bytes;
        return BlkStatus::kIoError;
      }
      std::byte* at = bytes.data() + request.offset;
      uint64_t total = 0;
      for (const iovec& vec : request.iov) {
        total += vec.iov_len;
      }
      const bool transfer = request.op == BlockRequest::Op::kRead || request.op == BlockRequest::Op::kWrite;
      EXPECT_EQ(total, transfer ? request.bytes : 0) << "iov adds up to bytes";
      for (const iovec& vec : request.iov) {
        if (request.op == BlockRequest::Op::kRead) {
          std::memcpy(vec.iov_base, at, vec.iov_len);
        } else {
          std::memcpy(at, vec.iov_base, vec.iov_len);
        }
        at += vec.iov_len;
      }
      if (!transfer) {
        std::memset(at, 0, request.bytes);
      }
      return BlkStatus::kOk;
    }
  };

 private:
  class Channel final : public BlockChannel {
   public:
    Channel(EventLoop& loop, std::shared_ptr<Disk> disk) : loop_(loop), disk_(std::move(disk)) {}
    ~Channel() override { EXPECT_EQ(in_flight_, 0U) << "a channel is destroyed with nothing in flight"; }
    void Submit(BlockRequest* request) override {
      ++in_flight_;
      loop_.Post([this, request] {
        const BlkStatus status = disk_->Serve(*request);
        --in_flight_;
        request->done(request, status);
      });
    }

   private:
    EventLoop& loop_;
    std::shared_ptr<Disk> disk_;
    size_t in_flight_ = 0;
  };

 protected:
  std::shared_ptr<Disk> disk_;

 private:
  std::string node_name_;
  BlockLimits limits_;
};

// A disk whose requests stay in flight until the test lets them go. The test's calls may come from any
// thread.
class HangingBlockNode final : public MemoryBlockNode {
 public:
  using MemoryBlockNode::MemoryBlockNode;

  size_t in_flight() const {
    const std::lock_guard lock(hung_->mutex);
    return hung_->requests.size();
  }
  // Ends the oldest request, or the i-th: served from memory, or with the status given and memory untouched.
  void Release(size_t i = 0) {
    const Hung::Entry entry = hung_->Take(i);
    entry.loop->Post([this, entry] { entry.request->done(entry.request, disk_->Serve(*entry.request)); });
  }
  void Fail(BlkStatus status, size_t i = 0) {
    const Hung::Entry entry = hung_->Take(i);
    entry.loop->Post([entry, status] { entry.request->done(entry.request, status); });
  }
  void ReleaseAll() {
    while (in_flight() > 0) {
      Release();
    }
  }

  Result<std::unique_ptr<BlockChannel>> OpenChannel(EventLoop& loop) override {
    return std::make_unique<Channel>(loop, hung_);
  }

 private:
  struct Hung {
    struct Entry {
      EventLoop* loop = nullptr;
      BlockRequest* request = nullptr;
    };
    Entry Take(size_t i) {
      const std::lock_guard lock(mutex);
      const Entry entry = requests.at(i);
      requests.erase(requests.begin() + static_cast<std::ptrdiff_t>(i));
      return entry;
    }
    std::mutex mutex;
    std::deque<Entry> requests;
  };
  class Channel final : public BlockChannel {
   public:
    Channel(EventLoop& loop, std::shared_ptr<Hung> hung) : loop_(loop), hung_(std::move(hung)) {}
    void Submit(BlockRequest* request) override {
      const std::lock_guard lock(hung_->mutex);
      hung_->requests.push_back({&loop_, request});
    }

   private:
    EventLoop& loop_;
    std::shared_ptr<Hung> hung_;
  };

  std::shared_ptr<Hung> hung_ = std::make_shared<Hung>();
};

}  // namespace nandu

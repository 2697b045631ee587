// Event loops run by the test's own thread. ManualLoop has a ring of paper: the test sees each operation and
// completes it by hand with the result it likes. EngineLoop turns a real engine. In both, Run does something
// on the loop and RunUntilIdle lets everything that is ready happen.
#pragma once

#include <algorithm>
#include <cerrno>
#include <deque>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <mutex>
#include <poll.h>
#include <stdexcept>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "loop/event_loop.h"
#include "loop/loop_core.h"

namespace nandu {

// One operation as it was submitted.
struct FakeOp {
  enum class Kind { kReadv, kWritev, kFsync, kFallocate, kPollReadable, kPollWritable, kRun };
  Kind kind = Kind::kReadv;
  int fd = -1;
  std::span<const iovec> iov;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  int mode = 0;  // rw flags, fallocate's mode, or fsync's data_only
  UniqueFunction<int32_t()> work;
  IoOp* op = nullptr;
};

class FakeRing final : public IoRing {
 public:
  std::string_view engine() const override { return "fake"; }
  void Readv(int fd, std::span<const iovec> v, uint64_t offset, IoOp* op) override {
    pending.push_back({FakeOp::Kind::kReadv, fd, v, offset, 0, 0, nullptr, op});
  }
  void Writev(int fd, std::span<const iovec> v, uint64_t offset, int rw_flags, IoOp* op) override {
    pending.push_back({FakeOp::Kind::kWritev, fd, v, offset, 0, rw_flags, nullptr, op});
  }
  void Fsync(int fd, bool data_only, IoOp* op) override {
    pending.push_back({FakeOp::Kind::kFsync, fd, {}, 0, 0, data_only ? 1 : 0, nullptr, op});
  }
  void Fallocate(int fd, int mode, uint64_t offset, uint64_t bytes, IoOp* op) override {
    pending.push_back({FakeOp::Kind::kFallocate, fd, {}, offset, bytes, mode, nullptr, op});
  }
  void PollReadable(int fd, IoOp* op) override {
    pending.push_back({FakeOp::Kind::kPollReadable, fd, {}, 0, 0, 0, nullptr, op});
  }
  void PollWritable(int fd, IoOp* op) override {
    pending.push_back({FakeOp::Kind::kPollWritable, fd, {}, 0, 0, 0, nullptr, op});
  }
  void Cancel(IoOp* op) override { cancelled.push_back(op); }
  void Run(UniqueFunction<int32_t()> work, IoOp* op) override {
    pending.push_back({FakeOp::Kind::kRun, -1, {}, 0, 0, 0, std::move(work), op});
  }

  // Ends the oldest operation, or the i-th; its `done` runs in the next RunUntilIdle.
  void Complete(int32_t result, size_t i = 0) {
    completed.emplace_back(pending.at(i).op, result);
    pending.erase(pending.begin() + static_cast<std::ptrdiff_t>(i));
  }

  // What was cancelled and has not completed ends so.
  void CompleteCancelled() {
    for (size_t i = 0; i < pending.size();) {
      if (std::find(cancelled.begin(), cancelled.end(), pending[i].op) != cancelled.end()) {
        Complete(-ECANCELED, i);
      } else {
        ++i;
      }
    }
  }

  std::deque<FakeOp> pending;    // submitted, not completed by the test
  std::vector<IoOp*> cancelled;  // what Cancel was asked for; the test completes it
  std::deque<std::pair<IoOp*, int32_t>> completed;
};

class ManualLoop final : public EventLoop {
 public:
  void Post(UniqueFunction<void()> work) override {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
  }
  bool OnThread() const override { return std::this_thread::get_id() == owner_; }
  IoRing& ring() override { return fake; }
  std::unique_ptr<EventWatch> Watch(int eventfd, UniqueFunction<void()> on_event,
                                    UniqueFunction<bool()> poll = nullptr) override {
    watches_.push_back(std::make_shared<Entry>(Entry{eventfd, std::move(on_event), std::move(poll)}));
    return std::make_unique<ManualWatch>(*this, watches_.back());
  }

  template <class F>
  void Run(F work) {
    work();
  }
  // Posted work, signalled eventfds and completed operations, until there are none of them.
  void RunUntilIdle() {
    do {
      RunTurnEnd();
    } while (RunPosted() || RunWatches() || RunCompleted());
  }
  // Calls the poll callbacks as a busy loop would; true when one found work.
  bool PollOnce() {
    const auto watches = watches_;
    bool found = false;
    for (const auto& watch : watches) {
      if (watch->poll && watch->poll()) {
        watch->on_event();
        found = true;
      }
    }
    return found;
  }
  size_t watch_count() const { return watches_.size(); }

  FakeRing fake;

 private:
  struct Entry {
    int fd;
    UniqueFunction<void()> on_event;
    UniqueFunction<bool()> poll;
  };
  class ManualWatch final : public EventWatch {
   public:
    ManualWatch(ManualLoop& loop, std::shared_ptr<Entry> entry) : loop_(loop), entry_(std::move(entry)) {}
    ~ManualWatch() override { std::erase(loop_.watches_, entry_); }

   private:
    ManualLoop& loop_;
    std::shared_ptr<Entry> entry_;
  };

  bool RunPosted() {
    std::vector<UniqueFunction<void()>> work;
    {
      const std::lock_guard lock(mutex_);
      work.swap(posted_);
    }
    for (const auto& each : work) {
      each();
    }
    return !work.empty();
  }
  bool RunWatches() {
    const auto watches = watches_;
    bool ran = false;
    for (const auto& watch : watches) {
      pollfd ready{watch->fd, POLLIN, 0};
      uint64_t value = 0;
      const bool alive = std::find(watches_.begin(), watches_.end(), watch) != watches_.end();
      if (alive && ::poll(&ready, 1, 0) == 1 && ::read(watch->fd, &value, sizeof(value)) == sizeof(value)) {
        watch->on_event();
        ran = true;
      }
    }
    return ran;
  }
  bool RunCompleted() {
    if (fake.completed.empty()) {
      return false;
    }
    const auto [op, result] = fake.completed.front();
    fake.completed.pop_front();
    op->done(op, result);
    return true;
  }

  const std::thread::id owner_ = std::this_thread::get_id();
  std::mutex mutex_;
  std::vector<UniqueFunction<void()>> posted_;
  std::vector<std::shared_ptr<Entry>> watches_;
};

// A real engine on the test's thread: EngineLoop loop(IoLoopOptions::Engine::kThreads);
// loop->ring().Readv(...); loop.RunUntilIdle();
class EngineLoop {
 public:
  explicit EngineLoop(IoLoopOptions::Engine engine = IoLoopOptions::Engine::kAuto,
                      unsigned max_threads = IoLoopOptions{}.max_threads) {
    IoLoopOptions options;
    options.engine = engine;
    options.max_threads = max_threads;
    auto core = LoopCore::Create(options);
    if (!core) {
      throw std::runtime_error(core.error().message);
    }
    core_ = std::move(core).value();
    if (auto attached = core_->Attach(); !attached) {
      throw std::runtime_error(attached.error().message);
    }
  }
  ~EngineLoop() { core_->Finish(); }

  LoopCore& operator*() { return *core_; }
  LoopCore* operator->() { return core_.get(); }
  template <class F>
  void Run(F work) {
    work();
  }
  // Until nothing is posted or in flight, and eventfds signalled before have been served.
  void RunUntilIdle() {
    do {
      core_->Turn(core_->in_flight() > 0 ? LoopCore::Wait::kYes : LoopCore::Wait::kNo);
      core_->Turn(LoopCore::Wait::kNo);
    } while (!core_->idle());
    core_->Turn(LoopCore::Wait::kNo);
  }
  void RunUntil(const std::function<bool()>& done) {
    while (!done()) {
      core_->Turn(LoopCore::Wait::kYes);
    }
  }

 private:
  std::unique_ptr<LoopCore> core_;
};

}  // namespace nandu

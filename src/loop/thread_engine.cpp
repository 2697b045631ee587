// The engine for hosts that forbid io_uring (kernel.io_uring_disabled, seccomp, an old kernel): readiness by
// epoll(7) on the loop's thread, everything that blocks on worker threads. The same contract as io_uring, at
// a wake-up per request.
#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/epoll.h>
#include <unistd.h>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "base/checked.h"
#include "base/unique_fd.h"
#include "loop/job_runner.h"
#include "loop/loop_engine.h"

namespace nandu {
namespace {

class ThreadEngine;

struct EpollWatch {
  int fd = -1;
  std::shared_ptr<WatchCallbacks> callbacks;
};

class EpollEventWatch final : public EventWatch {
 public:
  EpollEventWatch(ThreadEngine& engine, std::unique_ptr<EpollWatch> watch)
      : engine_(engine), watch_(std::move(watch)) {}
  ~EpollEventWatch() override;

 private:
  ThreadEngine& engine_;
  std::unique_ptr<EpollWatch> watch_;
};

class ThreadEngine final : public LoopEngine {
 public:
  ThreadEngine(LoopWaker& waker, unsigned max_threads, UniqueFd epoll)
      : epoll_(std::move(epoll)), jobs_(waker, max_threads) {}

  Result<> Attach() override { return {}; }
  std::string_view engine() const override { return "threads"; }

  void Readv(int fd, std::span<const iovec> v, uint64_t offset, IoOp* op) override {
    BlockingJob* job = Begin(BlockingJob::Kind::kReadv, fd, op);
    job->iov = v;
    job->offset = offset;
    jobs_.Start(job);
  }
  void Writev(int fd, std::span<const iovec> v, uint64_t offset, int rw_flags, IoOp* op) override {
    BlockingJob* job = Begin(BlockingJob::Kind::kWritev, fd, op);
    job->iov = v;
    job->offset = offset;
    job->mode = rw_flags;
    jobs_.Start(job);
  }
  void Fsync(int fd, bool data_only, IoOp* op) override {
    jobs_.Start(Begin(data_only ? BlockingJob::Kind::kFdatasync : BlockingJob::Kind::kFsync, fd, op));
  }
  void Fallocate(int fd, int mode, uint64_t offset, uint64_t bytes, IoOp* op) override {
    BlockingJob* job = Begin(BlockingJob::Kind::kFallocate, fd, op);
    job->mode = mode;
    job->offset = offset;
    job->bytes = bytes;
    jobs_.Start(job);
  }
  void PollReadable(int fd, IoOp* op) override { WaitReady(Begin(BlockingJob::Kind::kPollReadable, fd, op)); }
  void PollWritable(int fd, IoOp* op) override { WaitReady(Begin(BlockingJob::Kind::kPollWritable, fd, op)); }
  void Run(UniqueFunction<int32_t()> work, IoOp* op) override {
    BlockingJob* job = Begin(BlockingJob::Kind::kRun, -1, op);
    job->work = std::move(work);
    jobs_.Start(job);
  }
  void Cancel(IoOp* op) override {
    auto* job = static_cast<BlockingJob*>(op->engine_pointer);
    if (job->op != op) {
      return;
    }
    if (StopWaiting(job) || jobs_.Cancel(job)) {
      Complete(job, -ECANCELED);
    } else {
      job->cancelled = true;  // a worker has it
    }
  }

  void Submit() override {}  // workers began at once
  bool HasCompletions() const override { return !completed_.empty() || jobs_.HasFinished(); }
  bool Peek() override { return HasCompletions(); }
  void Turn(bool wait) override {
    std::array<epoll_event, 64> events;
    const int timeout = wait && !HasCompletions() ? -1 : 0;
    const int count = ::epoll_wait(epoll_.get(), events.data(), Narrow<int>(events.size()), timeout);
    NANDU_CHECK(count >= 0 || errno == EINTR, "the loop's epoll descriptor is valid");
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      OnReady(event.data.fd, event.events);
    }
    DispatchCompleted();
  }
  size_t in_flight() const override { return in_flight_; }

  std::unique_ptr<EventWatch> WatchEvent(int eventfd, std::shared_ptr<WatchCallbacks> callbacks) override {
    auto watch = std::make_unique<EpollWatch>();
    watch->fd = eventfd;
    watch->callbacks = std::move(callbacks);
    Interest& interest = interests_[eventfd];
    NANDU_CHECK(interest.watch == nullptr, "an eventfd has one watch per loop");
    interest.watch = watch.get();
    UpdateInterest(eventfd, interest);
    return std::make_unique<EpollEventWatch>(*this, std::move(watch));
  }
  void Unwatch(const EpollWatch& watch) {
    const auto at = interests_.find(watch.fd);
    if (at != interests_.end() && at->second.watch == &watch) {
      at->second.watch = nullptr;
      UpdateInterest(watch.fd, at->second);
    }
  }
  void Close() override {
    interests_.clear();
    jobs_.EndWorkers();
  }

 private:
  // Who waits for a descriptor. epoll knows a descriptor once, so that its readers and writers share the
  // entry.
  struct Interest {
    uint32_t registered = 0;
    EpollWatch* watch = nullptr;
    std::vector<BlockingJob*> readers;
    std::vector<BlockingJob*> writers;
  };

  BlockingJob* Begin(BlockingJob::Kind kind, int fd, IoOp* op) {
    ++in_flight_;
    BlockingJob* job = jobs_.Take(kind, op);
    job->fd = fd;
    return job;
  }
  void Complete(BlockingJob* job, int32_t result) {
    job->result = result;
    completed_.push_back(job);
  }
  static bool WaitsForInput(const BlockingJob& job) {
    return job.kind == BlockingJob::Kind::kPollReadable || job.kind == BlockingJob::Kind::kReadv;
  }

  void WaitReady(BlockingJob* job) {
    const int fd = job->fd;
    Interest& interest = interests_[fd];
    (WaitsForInput(*job) ? interest.readers : interest.writers).push_back(job);
    if (const int error = UpdateInterest(fd, interest); error != 0) {
      StopWaiting(job);
      const uint32_t mask = WaitsForInput(*job) ? uint32_t{EPOLLIN} : uint32_t{EPOLLOUT};
      OnJobReady(job, mask, error == EPERM ? 0 : -error);  // EPERM: a regular file, which is always ready
    }
  }
  bool StopWaiting(BlockingJob* job) {
    const auto at = interests_.find(job->fd);
    if (at == interests_.end()) {
      return false;
    }
    std::vector<BlockingJob*>& waiting = WaitsForInput(*job) ? at->second.readers : at->second.writers;
    const auto found = std::find(waiting.begin(), waiting.end(), job);
    if (found == waiting.end()) {
      return false;
    }
    waiting.erase(found);
    UpdateInterest(job->fd, at->second);
    return true;
  }

  // Tells epoll what is wanted now; drops the entry when that is nothing. The answer is 0 or an errno.
  int UpdateInterest(int fd, Interest& interest) {
    const bool input = interest.watch != nullptr || !interest.readers.empty();
    const uint32_t wanted = (input ? static_cast<uint32_t>(EPOLLIN) : 0U) |
                            (interest.writers.empty() ? 0U : static_cast<uint32_t>(EPOLLOUT));
    int result = 0;
    if (wanted != interest.registered) {
      const int what =
          interest.registered == 0 ? EPOLL_CTL_ADD : (wanted == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD);
      epoll_event event{};
      event.events = wanted;
      event.data.fd = fd;
      result = ::epoll_ctl(epoll_.get(), what, fd, &event) == 0 ? 0 : errno;
      interest.registered = result == 0 ? wanted : interest.registered;
    }
    if (wanted == 0) {
      interests_.erase(fd);
    }
    return result;
  }

  void OnReady(int fd, uint32_t mask) {
    const auto at = interests_.find(fd);
    if (at == interests_.end()) {
      return;  // an earlier callback of this turn ended the wait
    }
    Interest& interest = at->second;
    std::vector<BlockingJob*> ready;
    constexpr uint32_t kBroken = EPOLLERR | EPOLLHUP;
    if ((mask & (EPOLLIN | kBroken)) != 0) {
      ready.swap(interest.readers);
    }
    if ((mask & (EPOLLOUT | kBroken)) != 0) {
      ready.insert(ready.end(), interest.writers.begin(), interest.writers.end());
      interest.writers.clear();
    }
    const std::shared_ptr<WatchCallbacks> callbacks =
        interest.watch != nullptr ? interest.watch->callbacks : nullptr;
    UpdateInterest(fd, interest);
    for (BlockingJob* job : ready) {
      OnJobReady(job, mask, 0);
    }
    if (callbacks && (mask & EPOLLIN) != 0 && ReadEvent(fd)) {
      callbacks->on_event();
    }
  }
  // Never waits: an earlier callback of this turn may have put another eventfd in the place of the one that
  // was signalled.
  static bool ReadEvent(int fd) {
    uint64_t value = 0;
    const iovec into{&value, sizeof(value)};
    const ssize_t got = ::preadv2(fd, &into, 1, -1, RWF_NOWAIT);
    return got == sizeof(value) ||
           (got < 0 && errno == EOPNOTSUPP && ::read(fd, &value, sizeof(value)) == sizeof(value));
  }
  void OnJobReady(BlockingJob* job, uint32_t mask, int32_t error) {
    const bool poll =
        job->kind == BlockingJob::Kind::kPollReadable || job->kind == BlockingJob::Kind::kPollWritable;
    if (poll || error != 0) {
      Complete(job, error != 0 ? error : static_cast<int32_t>(mask));
      return;
    }
    jobs_.Start(job);
  }

  void DispatchCompleted() {
    jobs_.Collect(&completed_);
    dispatching_.swap(completed_);
    for (BlockingJob* job : dispatching_) {
      const bool transfer = job->kind == BlockingJob::Kind::kReadv || job->kind == BlockingJob::Kind::kWritev;
      if (transfer && job->result == -ESPIPE && !job->stream) {
        if (!job->cancelled) {
          job->stream =
              true;  // a read of it might never end, so that it waits here, where it can be cancelled
          WaitReady(job);
          continue;
        }
        job->result = -ECANCELED;  // asked for while the worker found out
      }
      IoOp* op = job->op;
      const int32_t result = job->result;
      jobs_.Give(job);
      --in_flight_;
      op->done(op, result);
    }
    dispatching_.clear();
  }

  UniqueFd epoll_;
  size_t in_flight_ = 0;
  std::unordered_map<int, Interest> interests_;
  std::vector<BlockingJob*> completed_;
  std::vector<BlockingJob*> dispatching_;
  JobRunner jobs_;
};

EpollEventWatch::~EpollEventWatch() { engine_.Unwatch(*watch_); }

}  // namespace

Result<std::unique_ptr<LoopEngine>> CreateThreadEngine(LoopWaker& waker, unsigned max_threads) {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) {
    return FailErrno(errno, "epoll_create1");
  }
  return std::make_unique<ThreadEngine>(waker, max_threads, std::move(epoll));
}

}  // namespace nandu

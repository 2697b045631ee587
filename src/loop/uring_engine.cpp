// The io_uring engine (io_uring(7), io_uring_setup(2)): single issuer, deferred task work where the kernel
// has it, one submission per turn of the loop.
//
// user_data is a pointer with its kind in the two low bits: an IoOp, a watch on an eventfd, or nobody (a
// cancel's own completion).
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <vector>

#include "base/check.h"
#include "base/checked.h"
#include "loop/job_runner.h"
#include "loop/loop_engine.h"

namespace nandu {
namespace {

constexpr unsigned kSubmissionEntries = 256;
constexpr unsigned kCompletionEntries =
    4096;  // more than this in flight is kept by the kernel (IORING_FEAT_NODROP)
constexpr unsigned kMaxRunThreads = 16;  // for IoRing::Run only

constexpr uint64_t kKindMask = 3;
constexpr uint64_t kKindOp = 0;
constexpr uint64_t kKindWatch = 1;
constexpr uint64_t kKindNobody = 2;

class UringEngine;

// One eventfd. Its read stays in the ring; an eventfd that does not block is polled and read by us, since a
// ring read of it fails with EAGAIN instead of waiting.
struct UringWatch {
  int fd = -1;
  std::shared_ptr<WatchCallbacks> callbacks;
  uint64_t value = 0;      // what the kernel reads into
  bool polled = false;     // the descriptor does not block
  bool in_kernel = false;  // submitted, completion not taken yet
};

struct Completion {
  uint64_t user_data = 0;
  int32_t result = 0;
};

class UringEventWatch final : public EventWatch {
 public:
  UringEventWatch(UringEngine& engine, std::unique_ptr<UringWatch> watch)
      : engine_(engine), watch_(std::move(watch)) {}
  ~UringEventWatch() override;

 private:
  UringEngine& engine_;
  std::unique_ptr<UringWatch> watch_;
};

class UringEngine final : public LoopEngine {
 public:
  explicit UringEngine(LoopWaker& waker) : jobs_(waker, kMaxRunThreads) {}
  ~UringEngine() override {
    if (ring_made_) {
      ::io_uring_queue_exit(&ring_);
    }
  }

  int Init() {
    // Each step back is for an older kernel: deferred task work is 6.1, cooperative 5.19.
    const unsigned common = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED;
    const unsigned tries[] = {
        common | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SINGLE_ISSUER |
            IORING_SETUP_DEFER_TASKRUN,
        common | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_COOP_TASKRUN,
        common,
    };
    int result = -EINVAL;
    for (const unsigned flags : tries) {
      io_uring_params params{};
      params.flags = flags;
      params.cq_entries = kCompletionEntries;
      result = ::io_uring_queue_init_params(kSubmissionEntries, &ring_, &params);
      if (result != -EINVAL) {
        break;
      }
    }
    ring_made_ = result == 0;
    return result;
  }

  Result<> Attach() override {
    // A disabled ring takes the thread that enables it as its single issuer.
    if (const int result = ::io_uring_enable_rings(&ring_); result < 0) {
      return FailErrno(-result, "cannot enable the io_uring");
    }
    ::io_uring_register_ring_fd(&ring_);  // spares a file look-up per call; older kernels do without
    return {};
  }

  std::string_view engine() const override { return "io_uring"; }

  void Readv(int fd, std::span<const iovec> v, uint64_t offset, IoOp* op) override {
    ::io_uring_prep_readv(Begin(op), fd, v.data(), Narrow<unsigned>(v.size()), offset);
    Finish(op);
  }
  void Writev(int fd, std::span<const iovec> v, uint64_t offset, int rw_flags, IoOp* op) override {
    ::io_uring_prep_writev2(Begin(op), fd, v.data(), Narrow<unsigned>(v.size()), offset, rw_flags);
    Finish(op);
  }
  void Fsync(int fd, bool data_only, IoOp* op) override {
    ::io_uring_prep_fsync(Begin(op), fd, data_only ? IORING_FSYNC_DATASYNC : 0);
    Finish(op);
  }
  void Fallocate(int fd, int mode, uint64_t offset, uint64_t bytes, IoOp* op) override {
    ::io_uring_prep_fallocate(Begin(op), fd, mode, static_cast<off_t>(offset), static_cast<off_t>(bytes));
    Finish(op);
  }
  void PollReadable(int fd, IoOp* op) override {
    ::io_uring_prep_poll_add(Begin(op), fd, POLLIN);
    Finish(op);
  }
  void PollWritable(int fd, IoOp* op) override {
    ::io_uring_prep_poll_add(Begin(op), fd, POLLOUT);
    Finish(op);
  }
  void Cancel(IoOp* op) override {
    if (op->engine_pointer != nullptr) {
      auto* job = static_cast<BlockingJob*>(op->engine_pointer);
      if (job->op == op && jobs_.Cancel(job)) {
        job->result = -ECANCELED;
        cancelled_jobs_.push_back(job);
      }
      return;
    }
    PrepareCancel(reinterpret_cast<uint64_t>(op));
  }
  void Run(UniqueFunction<int32_t()> work, IoOp* op) override {
    ++in_flight_;
    BlockingJob* job = jobs_.Take(BlockingJob::Kind::kRun, op);
    job->work = std::move(work);
    jobs_.Start(job);
  }

  void Submit() override {
    if (::io_uring_sq_ready(&ring_) > 0) {
      CheckEntered(::io_uring_submit(&ring_));
    }
  }
  bool HasCompletions() const override {
    return !backlog_.empty() || !cancelled_jobs_.empty() || jobs_.HasFinished() ||
           ::io_uring_cq_ready(&ring_) > 0;
  }
  bool Peek() override {
    if (KernelHasWork()) {
      CheckEntered(::io_uring_get_events(&ring_));
    }
    return HasCompletions();
  }
  void Turn(bool wait) override {
    if (wait && backlog_.empty() && cancelled_jobs_.empty()) {
      CheckEntered(::io_uring_submit_and_wait(&ring_, 1));
    } else if (KernelHasWork()) {
      CheckEntered(::io_uring_submit_and_get_events(&ring_));
    } else {
      Submit();
    }
    Reap();
    // A callback that destroys a watch reaps more and looks for that watch's entry among those not dispatched
    // yet.
    for (size_t i = 0; i < backlog_.size(); ++i) {
      const Completion completion = backlog_[i];
      backlog_[i].user_data = kKindNobody;
      Dispatch(completion);
    }
    backlog_.clear();
    DispatchJobs();
  }
  size_t in_flight() const override { return in_flight_; }

  std::unique_ptr<EventWatch> WatchEvent(int eventfd, std::shared_ptr<WatchCallbacks> callbacks) override {
    auto watch = std::make_unique<UringWatch>();
    watch->fd = eventfd;
    watch->callbacks = std::move(callbacks);
    watches_.push_back(watch.get());
    Arm(*watch);
    return std::make_unique<UringEventWatch>(*this, std::move(watch));
  }
  void Close() override {
    while (!watches_.empty()) {
      Disarm(*watches_.back());
    }
    jobs_.EndWorkers();
  }

  // The kernel lets go of the watch before this returns. What it had read by then is put back: the next
  // watcher of the eventfd (a queue moved to another loop) must not miss a signal.
  void Disarm(UringWatch& watch) {
    const auto at = std::find(watches_.begin(), watches_.end(), &watch);
    if (at == watches_.end()) {
      return;  // the loop has ended
    }
    watches_.erase(at);
    const uint64_t mine = reinterpret_cast<uint64_t>(&watch) | kKindWatch;
    if (watch.in_kernel) {
      PrepareCancel(mine);
    }
    const auto taken = [&] {
      return std::find_if(backlog_.begin(), backlog_.end(),
                          [&](const Completion& c) { return c.user_data == mine; });
    };
    while (watch.in_kernel && taken() == backlog_.end()) {
      CheckEntered(::io_uring_submit_and_wait(&ring_, 1));
      Reap();
    }
    if (watch.in_kernel) {
      const auto entry = taken();
      if (!watch.polled && entry->result == sizeof(watch.value)) {
        [[maybe_unused]] const ssize_t put_back = ::write(watch.fd, &watch.value, sizeof(watch.value));
      }
      entry->user_data = kKindNobody;
      watch.in_kernel = false;
    }
  }

 private:
  // A hint to enter the kernel, never a reason not to wait: the kernel queues its work before it sets the
  // flag, so that a turn in between leaves the flag standing with nothing behind it. A wait runs what is
  // queued before it sleeps.
  bool KernelHasWork() const {
    return (__atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED) &
            (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
  }
  static void CheckEntered(int result) {
    // Interrupted, short of memory, or too many completions waiting: entries stay queued and the next turn
    // tries again.
    NANDU_CHECK(result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY || result == -ENOMEM,
                "io_uring_enter is called with valid arguments by the ring's own thread");
  }

  io_uring_sqe* TakeEntry() {
    while (true) {
      if (io_uring_sqe* entry = ::io_uring_get_sqe(&ring_); entry != nullptr) {
        return entry;
      }
      if (const int result = ::io_uring_submit(&ring_); result < 0) {
        CheckEntered(result);
        CheckEntered(::io_uring_submit_and_get_events(&ring_));
        Reap();
      }
    }
  }
  io_uring_sqe* Begin(IoOp* op) {
    ++in_flight_;
    op->engine_pointer = nullptr;
    current_ = TakeEntry();
    return current_;
  }
  void Finish(IoOp* op) { ::io_uring_sqe_set_data64(current_, reinterpret_cast<uint64_t>(op) | kKindOp); }
  void PrepareCancel(uint64_t user_data) {
    io_uring_sqe* entry = TakeEntry();
    ::io_uring_prep_cancel64(entry, user_data, 0);
    ::io_uring_sqe_set_data64(entry, kKindNobody);
  }
  void Arm(UringWatch& watch) {
    io_uring_sqe* entry = TakeEntry();
    if (watch.polled) {
      ::io_uring_prep_poll_add(entry, watch.fd, POLLIN);
    } else {
      ::io_uring_prep_read(entry, watch.fd, &watch.value, sizeof(watch.value), 0);
    }
    ::io_uring_sqe_set_data64(entry, reinterpret_cast<uint64_t>(&watch) | kKindWatch);
    watch.in_kernel = true;
  }
  void Reap() {
    unsigned head = 0;
    unsigned count = 0;
    io_uring_cqe* entry = nullptr;
    io_uring_for_each_cqe(&ring_, head, entry) {
      if (entry->user_data != kKindNobody) {
        backlog_.push_back({entry->user_data, entry->res});
      }
      ++count;
    }
    ::io_uring_cq_advance(&ring_, count);
  }
  void Dispatch(const Completion& completion) {
    const uint64_t pointer = completion.user_data & ~kKindMask;
    switch (completion.user_data & kKindMask) {
      case kKindOp: {
        auto* op = reinterpret_cast<IoOp*>(pointer);
        --in_flight_;
        op->done(op, completion.result);
        return;
      }
      case kKindWatch: OnWatch(*reinterpret_cast<UringWatch*>(pointer), completion.result); return;
      default: return;
    }
  }
  void OnWatch(UringWatch& watch, int32_t result) {
    watch.in_kernel = false;
    if (result == -EAGAIN && !watch.polled) {
      watch.polled = true;
      Arm(watch);
      return;
    }
    bool signalled = result == sizeof(watch.value);
    if (watch.polled && result > 0) {
      signalled = ::read(watch.fd, &watch.value, sizeof(watch.value)) == sizeof(watch.value);
    }
    const bool again = result > 0 || result == -EINTR;
    const std::shared_ptr<WatchCallbacks> callbacks = watch.callbacks;
    if (again) {
      Arm(watch);  // before the callback, which may destroy the watch
    }
    if (signalled) {
      callbacks->on_event();
    }
  }
  void DispatchJobs() {
    finished_jobs_.swap(cancelled_jobs_);
    jobs_.Collect(&finished_jobs_);
    for (BlockingJob* job : finished_jobs_) {
      IoOp* op = job->op;
      const int32_t result = job->result;
      jobs_.Give(job);
      --in_flight_;
      op->done(op, result);
    }
    finished_jobs_.clear();
  }

  mutable io_uring ring_{};
  bool ring_made_ = false;
  io_uring_sqe* current_ = nullptr;  // between Begin and Finish
  size_t in_flight_ = 0;
  std::vector<Completion> backlog_;  // taken from the ring, not dispatched yet
  std::vector<UringWatch*> watches_;
  std::vector<BlockingJob*> cancelled_jobs_;
  std::vector<BlockingJob*> finished_jobs_;
  JobRunner jobs_;
};

UringEventWatch::~UringEventWatch() { engine_.Disarm(*watch_); }

}  // namespace

Result<std::unique_ptr<LoopEngine>> CreateUringEngine(LoopWaker& waker) {
  auto engine = std::make_unique<UringEngine>(waker);
  if (const int result = engine->Init(); result < 0) {
    return FailErrno(-result, "io_uring_setup");
  }
  return engine;
}

}  // namespace nandu

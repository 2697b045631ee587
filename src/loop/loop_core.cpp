#include "loop/loop_core.h"

#include <algorithm>
#include <cerrno>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/time.h"

namespace nandu {

// The loop's half of a watch: its poll callback. The engine holds the other half.
class CoreWatch final : public EventWatch {
 public:
  CoreWatch(LoopCore& loop, std::shared_ptr<WatchCallbacks> callbacks,
            std::unique_ptr<EventWatch> engine_watch)
      : loop_(loop), callbacks_(std::move(callbacks)), engine_watch_(std::move(engine_watch)) {}
  ~CoreWatch() override {
    callbacks_->alive = false;
    if (callbacks_->poll) {
      loop_.dead_pollers_ = true;
    }
  }

 private:
  LoopCore& loop_;
  std::shared_ptr<WatchCallbacks> callbacks_;
  std::unique_ptr<EventWatch> engine_watch_;
};

Result<std::unique_ptr<LoopCore>> LoopCore::Create(const IoLoopOptions& options) {
  UniqueFd wake_fd(::eventfd(0, EFD_CLOEXEC));
  if (!wake_fd) {
    return FailErrno(errno, "eventfd");
  }
  std::unique_ptr<LoopCore> core(new LoopCore(options, std::move(wake_fd)));
  TRY(core->MakeEngine(options.engine, options.max_threads));
  return core;
}

LoopCore::LoopCore(const IoLoopOptions& options, UniqueFd wake_fd)
    : poll_max_ns_(options.poll_max_ns), wake_fd_(std::move(wake_fd)) {}

LoopCore::~LoopCore() = default;

Result<> LoopCore::MakeEngine(IoLoopOptions::Engine engine, unsigned max_threads) {
  if (engine != IoLoopOptions::Engine::kThreads) {
    auto uring = CreateUringEngine(*this);
    if (uring) {
      engine_ = std::move(uring).value();
      return {};
    }
    if (engine == IoLoopOptions::Engine::kIoUring) {
      return tl::unexpected<Error>(std::move(uring).error());
    }
    fallback_reason_ = uring.error().message;
  }
  engine_ = TRY(CreateThreadEngine(*this, max_threads));
  return {};
}

Result<> LoopCore::Attach() {
  TRY(engine_->Attach());
  owner_.store(std::this_thread::get_id(), std::memory_order_release);
  auto callbacks = std::make_shared<WatchCallbacks>();
  callbacks->on_event = [] {};  // to be woken is all
  wake_watch_ = engine_->WatchEvent(wake_fd_.get(), std::move(callbacks));
  return {};
}

void LoopCore::Post(UniqueFunction<void()> work) {
  bool wake = false;
  {
    const MutexLock lock(mutex_);
    posted_.push_back(std::move(work));
    has_posted_.store(true, std::memory_order_release);
    wake = std::exchange(sleeping_, false);
  }
  if (wake) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_fd_.get(), &one, sizeof(one));
  }
}

void LoopCore::Wake() {
  bool wake = false;
  {
    const MutexLock lock(mutex_);
    wake = std::exchange(sleeping_, false);
  }
  if (wake) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_fd_.get(), &one, sizeof(one));
  }
}

std::unique_ptr<EventWatch> LoopCore::Watch(int eventfd, UniqueFunction<void()> on_event,
                                            UniqueFunction<bool()> poll) {
  auto callbacks = std::make_shared<WatchCallbacks>();
  callbacks->on_event = std::move(on_event);
  callbacks->poll = std::move(poll);
  if (callbacks->poll) {
    pollers_.push_back(callbacks);
  }
  return std::make_unique<CoreWatch>(*this, callbacks, engine_->WatchEvent(eventfd, callbacks));
}

void LoopCore::Turn(Wait wait) {
  bool sleep = wait == Wait::kYes && !RunPosted();
  if (wait == Wait::kNo) {
    RunPosted();
  }
  RunTurnEnd();
  DropDeadPollers();
  if (sleep && !pollers_.empty() && poll_ns_ > 0) {
    engine_->Submit();
    sleep = !PollBriefly();
    RunTurnEnd();
  }
  if (!sleep || !PrepareToSleep()) {
    engine_->Turn(false);
    RunTurnEnd();
    return;
  }
  const int64_t before_ns = poll_max_ns_ > 0 && !pollers_.empty() ? MonotonicNs() : 0;
  engine_->Turn(true);
  RunTurnEnd();
  {
    const MutexLock lock(mutex_);
    sleeping_ = false;
  }
  if (before_ns != 0) {
    AdaptPolling(MonotonicNs() - before_ns);
  }
}

bool LoopCore::RunPosted() {
  if (!HasPosted()) {
    return false;
  }
  {
    const MutexLock lock(mutex_);
    running_.swap(posted_);
    has_posted_.store(false, std::memory_order_release);
  }
  // What these post runs in the next turn, so that I/O gets its share.
  for (const UniqueFunction<void()>& work : running_) {
    work();
  }
  running_.clear();
  return true;
}

bool LoopCore::PollBriefly() {
  const int64_t until_ns = MonotonicNs() + poll_ns_;
  do {
    // By index: a callback may add watches. One that ends another leaves it marked dead.
    for (size_t i = 0; i < pollers_.size(); ++i) {
      const std::shared_ptr<WatchCallbacks> poller = pollers_[i];
      if (poller->alive && poller->poll()) {
        if (poller->alive) {
          poller->on_event();
        }
        return true;
      }
    }
    if (engine_->Peek() || HasPosted()) {
      return true;
    }
  } while (MonotonicNs() < until_ns);
  return false;
}

bool LoopCore::PrepareToSleep() {
  {
    const MutexLock lock(mutex_);
    if (!posted_.empty()) {
      return false;
    }
    sleeping_ = true;
  }
  // After sleeping_ was set: a worker that finishes later than this look finds it set and wakes us.
  if (!engine_->HasCompletions()) {
    return true;
  }
  const MutexLock lock(mutex_);
  sleeping_ = false;
  return false;
}

// Polling pays where events come sooner than poll_max_ns after the last: then it grows towards that, else it
// stops.
void LoopCore::AdaptPolling(int64_t slept_ns) {
  constexpr int64_t kFirstNs = 4'000;
  if (slept_ns > poll_max_ns_) {
    poll_ns_ = 0;
  } else if (slept_ns > poll_ns_) {
    poll_ns_ = std::min(poll_max_ns_, std::max(kFirstNs, poll_ns_ * 2));
  }
}

bool LoopCore::idle() const {
  return !HasPosted() && !engine_->HasCompletions() && engine_->in_flight() == 0;
}

void LoopCore::Finish() {
  while (HasPosted() || engine_->in_flight() > 0) {
    Turn(HasPosted() ? Wait::kNo : Wait::kYes);
  }
  DropDeadPollers();
  pollers_.clear();
  wake_watch_.reset();
  engine_->Close();
  owner_.store({}, std::memory_order_release);  // the kernel may give the thread's id to another
}

void LoopCore::DropDeadPollers() {
  if (std::exchange(dead_pollers_, false)) {
    std::erase_if(pollers_, [](const auto& poller) { return !poller->alive; });
  }
}

}  // namespace nandu

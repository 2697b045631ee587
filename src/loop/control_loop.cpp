// The control loop on Boost.Asio's epoll reactor: the only file that includes Asio. It starts no thread of
// its own; workers come with the first RunBlocking.
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
// Asio's handlers sit between fences, which g++'s thread sanitizer does not follow; its queues have mutexes,
// which it does.
#pragma GCC diagnostic ignored "-Wtsan"
#endif

#include "loop/control_loop.h"

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/unique_fd.h"
#include "loop/worker_pool.h"

namespace nandu {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// Outlives its FdWatch while Asio still holds one of its waits.
struct FdWatchState {
  explicit FdWatchState(asio::io_context& context) : descriptor(context) {}
  asio::posix::stream_descriptor descriptor;
  struct Direction {
    UniqueFunction<void()> ready;
    bool waiting = false;  // Asio holds a wait, whether or not somebody still wants it
  };
  Direction readable, writable;
  UniqueFd duplicate;  // a second watch of one descriptor: epoll knows each number once
};

class AsioFdWatch final : public FdWatch {
 public:
  AsioFdWatch(asio::io_context& context, int fd) : state_(std::make_shared<FdWatchState>(context)) {
    error_code error;
    state_->descriptor.assign(fd, error);
    if (error == boost::system::errc::file_exists) {
      state_->duplicate.Reset(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
      state_->descriptor.assign(state_->duplicate.get(), error);
    }
    // Left closed on other errors: waits then end at once and the owner's read or write tells what is wrong.
  }
  ~AsioFdWatch() override {
    state_->readable.ready = nullptr;
    state_->writable.ready = nullptr;
    if (state_->descriptor.is_open()) {
      error_code ignored;
      state_->descriptor.cancel(ignored);
      state_->descriptor.release();  // the descriptor is the owner's
    }
  }
  void WaitReadable(UniqueFunction<void()> ready) override {
    Wait(&FdWatchState::readable, asio::posix::descriptor_base::wait_read, std::move(ready));
  }
  void WaitWritable(UniqueFunction<void()> ready) override {
    Wait(&FdWatchState::writable, asio::posix::descriptor_base::wait_write, std::move(ready));
  }
  void CancelReadable() override { state_->readable.ready = nullptr; }
  void CancelWritable() override { state_->writable.ready = nullptr; }

 private:
  void Wait(FdWatchState::Direction FdWatchState::*which, asio::posix::descriptor_base::wait_type type,
            UniqueFunction<void()> ready) {
    FdWatchState::Direction& direction = (*state_).*which;
    direction.ready = std::move(ready);
    if (direction.waiting) {
      return;  // a wait whose owner went away serves the next one
    }
    direction.waiting = true;
    // An error is readiness too: a regular file, which epoll refuses, is always ready; a broken descriptor
    // tells by read().
    state_->descriptor.async_wait(type, [state = state_, which](const error_code&) {
      FdWatchState::Direction& mine = (*state).*which;
      mine.waiting = false;
      if (mine.ready) {
        const UniqueFunction<void()> call = std::move(mine.ready);
        call();
      }
    });
  }

  std::shared_ptr<FdWatchState> state_;
};

class AsioHostTimer final : public HostTimer {
 public:
  AsioHostTimer(asio::io_context& context, UniqueFunction<void()> fire)
      : timer_(context), shared_(std::make_shared<Shared>()) {
    shared_->fire = std::move(fire);
  }
  ~AsioHostTimer() override { ++shared_->generation; }
  void ArmAfter(int64_t delay_ns) override {
    timer_.expires_after(std::chrono::nanoseconds(std::max<int64_t>(delay_ns, 0)));
    const uint64_t armed = ++shared_->generation;
    // The generation tells what a cancel cannot: an expiry that was queued before the timer was armed again.
    timer_.async_wait([shared = shared_, armed](const error_code& error) {
      if (!error && shared->generation == armed) {
        shared->fire();
      }
    });
  }
  void Cancel() override {
    ++shared_->generation;
    timer_.cancel();
  }

 private:
  struct Shared {
    UniqueFunction<void()> fire;
    uint64_t generation = 0;
  };
  asio::steady_timer timer_;
  std::shared_ptr<Shared> shared_;
};

class AsioControlLoop final : public ControlLoop {
 public:
  AsioControlLoop() : work_(asio::make_work_guard(context_)), owner_(std::this_thread::get_id()) {}
  ~AsioControlLoop() override {
    workers_.reset();  // their `done`s are posted, and dropped with the context
    signal_watch_.reset();
    if (signal_fd_) {
      ::pthread_sigmask(SIG_SETMASK, &signals_before_, nullptr);
    }
  }

  void Post(UniqueFunction<void()> work) override {
    asio::post(context_, [work = std::move(work)] { work(); });
  }
  bool OnThread() const override {
    return owner_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }
  std::unique_ptr<FdWatch> WatchFd(int fd) override { return std::make_unique<AsioFdWatch>(context_, fd); }
  std::unique_ptr<HostTimer> CreateHostTimer(UniqueFunction<void()> fire) override {
    return std::make_unique<AsioHostTimer>(context_, std::move(fire));
  }

  void OnSignals(std::span<const int> signals, UniqueFunction<void(int)> handler) override {
    NANDU_CHECK(!signal_fd_, "signals are taken once");
    sigset_t set;
    ::sigemptyset(&set);
    for (const int signal : signals) {
      ::sigaddset(&set, signal);
    }
    // Blocked here, and so in every thread that starts from now on: the descriptor is the only one that gets
    // them.
    ::pthread_sigmask(SIG_BLOCK, &set, &signals_before_);
    signal_fd_.Reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    NANDU_CHECK(static_cast<bool>(signal_fd_), "there is a descriptor left for signals at start");
    on_signal_ = std::move(handler);
    signal_watch_ = WatchFd(signal_fd_.get());
    WaitForSignal();
  }

  void RunBlocking(UniqueFunction<void()> work, UniqueFunction<void()> done) override {
    if (!workers_) {
      workers_ = std::make_unique<WorkerPool>("worker", kMaxWorkers);
    }
    workers_->Submit([this, work = std::move(work), done = std::move(done)]() mutable {
      work();
      Post(std::move(done));
    });
  }

  void Run() override {
    owner_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    context_.restart();
    if (!stop_requested_.load()) {
      context_.run();
    }
    stop_requested_.store(false);
  }
  void RunReady() override {
    context_.restart();
    context_.poll();
  }
  void Stop() override {
    stop_requested_.store(true);  // before stop: Run looks after it has restarted the context
    context_.stop();
  }

 private:
  static constexpr unsigned kMaxWorkers = 8;

  void WaitForSignal() {
    signal_watch_->WaitReadable([this] {
      signalfd_siginfo info{};
      while (::read(signal_fd_.get(), &info, sizeof(info)) == sizeof(info)) {
        on_signal_(static_cast<int>(info.ssi_signo));
      }
      WaitForSignal();
    });
  }

  asio::io_context context_{1};  // one thread runs it; Post stays safe from all
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::atomic<std::thread::id> owner_;
  std::atomic<bool> stop_requested_{false};
  UniqueFd signal_fd_;
  sigset_t signals_before_{};
  UniqueFunction<void(int)> on_signal_;
  std::unique_ptr<FdWatch> signal_watch_;
  std::unique_ptr<WorkerPool> workers_;
};

}  // namespace

Result<std::unique_ptr<ControlLoop>> ControlLoop::Create() {
  // Asio reports an exhausted descriptor table by exception, here only.
  try {
    return std::make_unique<AsioControlLoop>();
  } catch (const boost::system::system_error& error) {
    return FailErrno(error.code().value(), "cannot start the control loop");
  }
}

}  // namespace nandu

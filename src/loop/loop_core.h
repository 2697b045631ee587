// The body of an I/O loop without its thread: posted work, watches, adaptive polling, over one of the two
// engines. IoLoop (io_loop.h) gives it a thread; tests turn it by hand (tests/unit/support/manual_loop.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "loop/event_loop.h"
#include "loop/loop_engine.h"

namespace nandu {

struct IoLoopOptions {
  enum class Engine : uint8_t { kAuto, kIoUring, kThreads };
  Engine engine = Engine::kAuto;  // kAuto: io_uring, and worker threads where the host forbids it
  int64_t poll_max_ns = 32'768;   // longest busy wait before blocking; 0: never
  unsigned max_threads = 16;      // of the worker-thread engine
};

class LoopCore : public EventLoop, private LoopWaker {
 public:
  static Result<std::unique_ptr<LoopCore>> Create(const IoLoopOptions& options);
  ~LoopCore() override;

  // EventLoop
  void Post(UniqueFunction<void()> work) override;
  bool OnThread() const override {
    return owner_.load(std::memory_order_acquire) == std::this_thread::get_id();
  }
  IoRing& ring() override { return *engine_; }
  std::unique_ptr<EventWatch> Watch(int eventfd, UniqueFunction<void()> on_event,
                                    UniqueFunction<bool()> poll = nullptr) override;

  // Why worker threads serve although io_uring was wished for: "io_uring_setup: Operation not permitted".
  // Empty otherwise.
  const std::string& fallback_reason() const { return fallback_reason_; }

  // The calling thread becomes the loop's.
  Result<> Attach();
  // One turn: posted work, then I/O. kWait blocks until something happens.
  enum class Wait : uint8_t { kNo, kYes };
  void Turn(Wait wait);
  bool idle() const;  // nothing posted, nothing completed, nothing in flight
  size_t in_flight() const { return engine_->in_flight(); }
  // Turns until nothing is posted or in flight, then lets go of all watches. The loop's last act.
  void Finish();

 protected:
  LoopCore(const IoLoopOptions& options, UniqueFd wake_fd);
  Result<> MakeEngine(IoLoopOptions::Engine engine, unsigned max_threads);

 private:
  friend class CoreWatch;
  void Wake() override;
  bool RunPosted();
  bool PollBriefly();     // true when there is something to do
  bool PrepareToSleep();  // false when there is something to do
  void AdaptPolling(int64_t slept_ns);
  bool HasPosted() const { return has_posted_.load(std::memory_order_acquire); }
  void DropDeadPollers();

  const int64_t poll_max_ns_;
  int64_t poll_ns_ = 0;
  std::string fallback_reason_;
  std::atomic<std::thread::id> owner_{};
  UniqueFd wake_fd_;

  mutable Mutex mutex_;
  std::vector<UniqueFunction<void()>> posted_ NANDU_TA(guarded_by(mutex_));
  bool sleeping_ NANDU_TA(guarded_by(mutex_)) = false;
  std::atomic<bool> has_posted_{false};

  std::vector<UniqueFunction<void()>> running_;
  std::vector<std::shared_ptr<WatchCallbacks>> pollers_;
  bool dead_pollers_ = false;
  std::unique_ptr<LoopEngine> engine_;
  std::unique_ptr<EventWatch> wake_watch_;
};

}  // namespace nandu

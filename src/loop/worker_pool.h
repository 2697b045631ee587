// Threads for work that may block. They start when there is work, and leave after idling; a VM that needs
// none has none. Any thread may call it; jobs run in the order they came, several at once. Destroying it
// finishes what was submitted.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <list>
#include <string>
#include <thread>
#include <vector>

#include "base/thread_annotations.h"
#include "base/unique_function.h"

namespace nandu {

// One piece of work, embedded in whatever it belongs to: submitting it allocates nothing. It belongs to the
// pool from Submit until `run` was called.
struct WorkerJob {
  void (*run)(WorkerJob* job) = nullptr;  // on a worker
  WorkerJob* next = nullptr;              // the pool's own
};

class WorkerPool {
 public:
  // At most `max_threads` threads, named `name` (15 characters are kept). Signals are blocked in them.
  WorkerPool(std::string name, unsigned max_threads);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  ~WorkerPool();

  void Submit(WorkerJob* job);
  void Submit(UniqueFunction<void()> work);
  // Takes a job back that no worker has begun; false when it runs or has run.
  bool Remove(WorkerJob* job);
  unsigned threads() const;  // how many there are now

 private:
  struct Worker {
    std::thread thread;
    bool finished = false;
  };
  void RunWorker(Worker* self);
  // Starts one more thread if a job would have to wait for one. False when the host gave us none and there is
  // none yet.
  bool EnsureWorker() NANDU_TA(requires_capability(mutex_));
  std::vector<std::thread> TakeFinished() NANDU_TA(requires_capability(mutex_));

  static constexpr int kIdleSeconds = 10;

  const std::string name_;
  const unsigned max_threads_;
  mutable Mutex mutex_;
  std::condition_variable_any work_;
  WorkerJob* first_ NANDU_TA(guarded_by(mutex_)) = nullptr;
  WorkerJob* last_ NANDU_TA(guarded_by(mutex_)) = nullptr;
  unsigned waiting_jobs_ NANDU_TA(guarded_by(mutex_)) = 0;
  unsigned idle_workers_ NANDU_TA(guarded_by(mutex_)) = 0;
  unsigned live_workers_ NANDU_TA(guarded_by(mutex_)) = 0;
  bool closing_ NANDU_TA(guarded_by(mutex_)) = false;
  std::list<Worker> workers_ NANDU_TA(guarded_by(mutex_));
};

}  // namespace nandu

// System calls run by workers, with their completions gathered for the loop: the thread engine's whole data
// path, and IoRing::Run of both engines. Loop thread, except what runs on workers. Jobs are pooled: an I/O
// allocates nothing in steady state.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/thread_annotations.h"
#include "base/unique_function.h"
#include "loop/loop_engine.h"
#include "loop/worker_pool.h"

namespace nandu {

struct BlockingJob : WorkerJob {
  enum class Kind : uint8_t {
    kReadv,
    kWritev,
    kFsync,
    kFdatasync,
    kFallocate,
    kRun,
    kPollReadable,
    kPollWritable
  };
  Kind kind = Kind::kRun;
  bool stream = false;     // a pipe, socket or eventfd: no offset, and waited for by the loop first
  bool cancelled = false;  // while a worker had it
  int fd = -1;
  int mode = 0;  // rw flags, or fallocate's mode
  uint64_t offset = 0;
  uint64_t bytes = 0;
  std::span<const iovec> iov;
  UniqueFunction<int32_t()> work;
  IoOp* op = nullptr;
  int32_t result = 0;
  class JobRunner* runner = nullptr;
};

class JobRunner {
 public:
  JobRunner(LoopWaker& waker, unsigned max_threads) : waker_(waker), max_threads_(max_threads) {}
  JobRunner(const JobRunner&) = delete;
  JobRunner& operator=(const JobRunner&) = delete;
  ~JobRunner();

  BlockingJob* Take(BlockingJob::Kind kind, IoOp* op);  // from the pool
  void Give(BlockingJob* job);                          // back to the pool
  void Start(BlockingJob* job);
  bool Cancel(BlockingJob* job);  // true: no worker had begun it; it belongs to the caller again
  // Waits until every worker has left: they finish what was started, and tell the waker. A later Start begins
  // anew.
  void EndWorkers() { pool_.reset(); }
  bool HasFinished() const { return has_finished_.load(std::memory_order_acquire); }
  // Moves the finished jobs to the end of `out`; the caller gives them back.
  void Collect(std::vector<BlockingJob*>* out);

 private:
  static void RunOnWorker(WorkerJob* base);

  LoopWaker& waker_;
  const unsigned max_threads_;
  std::vector<std::unique_ptr<BlockingJob>> all_;
  std::vector<BlockingJob*> free_;
  Mutex mutex_;
  std::vector<BlockingJob*> finished_ NANDU_TA(guarded_by(mutex_));
  std::atomic<bool> has_finished_{false};
  std::unique_ptr<WorkerPool>
      pool_;  // started by the first job; the last member, so that its threads end first
};

}  // namespace nandu

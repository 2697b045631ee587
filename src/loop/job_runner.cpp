#include "loop/job_runner.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/checked.h"

namespace nandu {
namespace {

template <class T>
int32_t ResultOf(T returned) {
  return returned < 0 ? -errno : Narrow<int32_t>(returned);
}

int32_t Execute(BlockingJob& job) {
  const int count = Narrow<int>(job.iov.size());
  const auto offset = static_cast<off_t>(job.offset);
  switch (job.kind) {
    case BlockingJob::Kind::kReadv:
      return job.stream ? ResultOf(::readv(job.fd, job.iov.data(), count))
                        : ResultOf(::preadv(job.fd, job.iov.data(), count, offset));
    case BlockingJob::Kind::kWritev:
      return job.stream ? ResultOf(::writev(job.fd, job.iov.data(), count))
                        : ResultOf(::pwritev2(job.fd, job.iov.data(), count, offset, job.mode));
    case BlockingJob::Kind::kFsync: return ResultOf(::fsync(job.fd));
    case BlockingJob::Kind::kFdatasync: return ResultOf(::fdatasync(job.fd));
    case BlockingJob::Kind::kFallocate:
      return ResultOf(::fallocate(job.fd, job.mode, offset, static_cast<off_t>(job.bytes)));
    case BlockingJob::Kind::kRun: return job.work();
    case BlockingJob::Kind::kPollReadable:
    case BlockingJob::Kind::kPollWritable: break;
  }
  NANDU_CHECK(false, "polls are the loop's, no worker runs them");
}

}  // namespace

JobRunner::~JobRunner() { EndWorkers(); }

BlockingJob* JobRunner::Take(BlockingJob::Kind kind, IoOp* op) {
  if (free_.empty()) {
    all_.push_back(std::make_unique<BlockingJob>());
    all_.back()->runner = this;
    all_.back()->run = &JobRunner::RunOnWorker;
    free_.push_back(all_.back().get());
  }
  BlockingJob* job = free_.back();
  free_.pop_back();
  job->kind = kind;
  job->stream = false;
  job->cancelled = false;
  job->op = op;
  op->engine_pointer = job;
  return job;
}

void JobRunner::Give(BlockingJob* job) {
  job->op = nullptr;
  job->work = nullptr;
  free_.push_back(job);
}

void JobRunner::Start(BlockingJob* job) {
  if (!pool_) {
    pool_ = std::make_unique<WorkerPool>("worker", max_threads_);
  }
  pool_->Submit(job);
}

bool JobRunner::Cancel(BlockingJob* job) { return pool_ && pool_->Remove(job); }

void JobRunner::RunOnWorker(WorkerJob* base) {
  auto* job = static_cast<BlockingJob*>(base);
  JobRunner& runner = *job->runner;
  job->result = Execute(*job);
  bool first = false;
  {
    const MutexLock lock(runner.mutex_);
    first = runner.finished_.empty();
    runner.finished_.push_back(job);
    runner.has_finished_.store(true, std::memory_order_release);
  }
  if (first) {
    runner.waker_.Wake();
  }
}

void JobRunner::Collect(std::vector<BlockingJob*>* out) {
  if (!HasFinished()) {
    return;
  }
  const MutexLock lock(mutex_);
  out->insert(out->end(), finished_.begin(), finished_.end());
  finished_.clear();
  has_finished_.store(false, std::memory_order_release);
}

}  // namespace nandu

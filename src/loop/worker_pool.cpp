#include "loop/worker_pool.h"

#include <memory>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "base/thread_name.h"
#include "loop/thread_start.h"

namespace nandu {
namespace {

struct FunctionJob : WorkerJob {
  UniqueFunction<void()> work;
};

}  // namespace

WorkerPool::WorkerPool(std::string name, unsigned max_threads)
    : name_(std::move(name)), max_threads_(max_threads) {}

WorkerPool::~WorkerPool() {
  std::list<Worker> workers;
  {
    const MutexLock lock(mutex_);
    closing_ = true;
    work_.notify_all();
    workers.swap(workers_);
  }
  for (Worker& worker : workers) {
    worker.thread.join();
  }
}

void WorkerPool::Submit(WorkerJob* job) {
  std::vector<std::thread> finished;
  bool has_worker = false;
  {
    const MutexLock lock(mutex_);
    finished = TakeFinished();
    has_worker = EnsureWorker();
    if (has_worker) {
      job->next = nullptr;
      (last_ != nullptr ? last_->next : first_) = job;
      last_ = job;
      ++waiting_jobs_;
      work_.notify_one();
    }
  }
  for (std::thread& thread : finished) {
    thread.join();
  }
  if (!has_worker) {
    job->run(job);  // slow is better than lost
  }
}

void WorkerPool::Submit(UniqueFunction<void()> work) {
  auto job = std::make_unique<FunctionJob>();
  job->work = std::move(work);
  job->run = [](WorkerJob* self) {
    const std::unique_ptr<FunctionJob> owned(static_cast<FunctionJob*>(self));
    owned->work();
  };
  Submit(job.release());
}

bool WorkerPool::Remove(WorkerJob* job) {
  const MutexLock lock(mutex_);
  WorkerJob* before = nullptr;
  for (WorkerJob* at = first_; at != nullptr; before = at, at = at->next) {
    if (at == job) {
      (before != nullptr ? before->next : first_) = job->next;
      if (last_ == job) {
        last_ = before;
      }
      --waiting_jobs_;
      return true;
    }
  }
  return false;
}

unsigned WorkerPool::threads() const {
  const MutexLock lock(mutex_);
  return live_workers_;
}

bool WorkerPool::EnsureWorker() {
  if (waiting_jobs_ < idle_workers_ || live_workers_ >= max_threads_) {
    return true;
  }
  Worker& worker = workers_.emplace_back();
  try {
    const SignalsBlocked blocked;
    worker.thread = std::thread([this, self = &worker] { RunWorker(self); });
  } catch (const std::system_error& error) {
    workers_.pop_back();
    Log(LogLevel::kWarning, "cannot start a worker thread: {}; check the limit on processes",
        error.code().message());
    return live_workers_ > 0;
  }
  ++live_workers_;
  return true;
}

std::vector<std::thread> WorkerPool::TakeFinished() {
  std::vector<std::thread> finished;
  for (auto at = workers_.begin(); at != workers_.end();) {
    if (at->finished) {
      finished.push_back(std::move(at->thread));
      at = workers_.erase(at);
    } else {
      ++at;
    }
  }
  return finished;
}

void WorkerPool::RunWorker(Worker* self) {
  NameThisThread(name_);
  mutex_.lock();
  while (true) {
    if (first_ == nullptr) {
      if (closing_) {
        break;
      }
      ++idle_workers_;
      const bool timed_out =
          work_.wait_for(mutex_, std::chrono::seconds(kIdleSeconds)) == std::cv_status::timeout;
      --idle_workers_;
      if (timed_out && first_ == nullptr) {
        break;
      }
      continue;
    }
    WorkerJob* job = first_;
    first_ = job->next;
    if (first_ == nullptr) {
      last_ = nullptr;
    }
    --waiting_jobs_;
    mutex_.unlock();
    job->run(job);
    mutex_.lock();
  }
  --live_workers_;
  self->finished = !closing_;
  mutex_.unlock();
}

}  // namespace nandu

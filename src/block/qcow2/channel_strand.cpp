// The part of a request that the strand does: on its thread, then back on the loop.
#include "block/file_status.h"
#include "block/qcow2/channel.h"
#include "block/qcow2/vector_io.h"
#include "loop/event_loop.h"

namespace nandu::qcow2 {

void Channel::RunOnStrand(Operation* operation, Work work, Then then) {
  operation->work = work;
  operation->then = then;
  image_->counters.strand_jobs.Add(1);
  image_->strand.Submit(&operation->job);
}

void Channel::OnStrand(WorkerJob* job) {
  Operation* const operation = static_cast<Job*>(job)->operation;
  Channel* const channel = operation->channel;
  {
    const MutexLock lock(channel->image_->mutex);
    const Result<> done = channel->DoWork(operation);
    operation->failed = !done;
    operation->sys_errno = done ? 0 : done.error().sys_errno;
    channel->image_->file_bytes.store(channel->image_->data().size(), std::memory_order_release);
  }
  channel->loop_.Post([channel, operation] { channel->OnStrandDone(operation); });
}

Result<> Channel::DoWork(Operation* operation) {
  Image& image = *image_->image;
  const BlockRequest& request = *operation->caller;
  const auto durable = [&](Result<> changed) {
    return changed && Durable(*operation) ? image.Flush() : std::move(changed);
  };
  switch (operation->work) {
    case Work::kLoad: {
      const Result<Extent> found = image.Find(operation->work_offset, 1);
      return found ? Result<>() : tl::unexpected<Error>(found.error());
    }
    case Work::kRead: return image.Readv(operation->at(), operation->part);
    case Work::kWrite:
      return durable(
          image.Writev(operation->at(), PartOf(request.iov, operation->done_bytes, operation->left())));
    case Work::kZero:
      return durable(
          image.WriteZeroes(request.offset, request.bytes, request.may_unmap ? Unmap::kUnmap : Unmap::kKeep));
    case Work::kDiscard: return image.Discard(request.offset, request.bytes);
    case Work::kFlush: return image.Flush();
  }
  return {};
}

void Channel::OnStrandDone(Operation* operation) {
  if (operation->failed) {
    image_->counters.errors.Add(1);
    Finish(operation, StatusOfErrno(operation->sys_errno));
    return;
  }
  if (operation->then == Then::kFinish) {
    Finish(operation, BlkStatus::kOk);
    return;
  }
  if (operation->work == Work::kRead) {
    operation->done_bytes += operation->part_bytes;
    operation->loads = 0;
  }
  GoOn(operation);
}

}  // namespace nandu::qcow2

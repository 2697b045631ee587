// aio=threads on a loop that has io_uring: the same operations as blocking calls on the loop's workers. The
// loop's thread.
#pragma once

#include "loop/event_loop.h"

namespace nandu {

class WorkerRing final : public IoRing {
 public:
  explicit WorkerRing(IoRing& loop_ring) : loop_ring_(loop_ring) {}

  std::string_view engine() const override { return "threads"; }
  void Readv(int fd, std::span<const iovec> v, uint64_t offset, IoOp* op) override;
  void Writev(int fd, std::span<const iovec> v, uint64_t offset, int rw_flags, IoOp* op) override;
  void Fsync(int fd, bool data_only, IoOp* op) override;
  void Fallocate(int fd, int mode, uint64_t offset, uint64_t bytes, IoOp* op) override;
  void PollReadable(int fd, IoOp* op) override { loop_ring_.PollReadable(fd, op); }
  void PollWritable(int fd, IoOp* op) override { loop_ring_.PollWritable(fd, op); }
  void Cancel(IoOp* op) override { loop_ring_.Cancel(op); }
  void Run(UniqueFunction<int32_t()> work, IoOp* op) override { loop_ring_.Run(std::move(work), op); }

 private:
  IoRing& loop_ring_;
};

}  // namespace nandu

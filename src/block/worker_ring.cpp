#include "block/worker_ring.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "base/checked.h"

namespace nandu {
namespace {

template <class T>
int32_t ResultOf(T returned) {
  return returned < 0 ? -errno : Narrow<int32_t>(returned);
}

}  // namespace

void WorkerRing::Readv(int fd, std::span<const iovec> v, uint64_t offset, IoOp* op) {
  loop_ring_.Run(
      [=] { return ResultOf(::preadv(fd, v.data(), Narrow<int>(v.size()), static_cast<off_t>(offset))); },
      op);
}

void WorkerRing::Writev(int fd, std::span<const iovec> v, uint64_t offset, int rw_flags, IoOp* op) {
  loop_ring_.Run(
      [=] {
        return ResultOf(
            ::pwritev2(fd, v.data(), Narrow<int>(v.size()), static_cast<off_t>(offset), rw_flags));
      },
      op);
}

void WorkerRing::Fsync(int fd, bool data_only, IoOp* op) {
  loop_ring_.Run([=] { return ResultOf(data_only ? ::fdatasync(fd) : ::fsync(fd)); }, op);
}

void WorkerRing::Fallocate(int fd, int mode, uint64_t offset, uint64_t bytes, IoOp* op) {
  loop_ring_.Run(
      [=] { return ResultOf(::fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(bytes))); },
      op);
}

}  // namespace nandu

#include "boot/boot_file.h"

#include <algorithm>
#include <cerrno>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <vector>

#include "base/checked.h"

namespace nandu {
namespace {

constexpr uint64_t kChunkBytes = 1 << 30;  // read() stops at 2 GiB - 4 KiB

}  // namespace

BootFile::BootFile(UniqueFd fd, std::string name, uint64_t size)
    : fd_(std::move(fd)), name_(std::move(name)), size_(size) {}

Result<BootFile> BootFile::FromFd(UniqueFd fd, std::string name) {
  struct stat status = {};
  if (::fstat(fd.get(), &status) != 0) {
    return FailErrno(errno, "{}: cannot be examined", name);
  }
  if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
    return Fail(Errc::kInvalidArgument,
                "{}: is not a regular file; it is read again at every reset, so copy it to a file first",
                name);
  }
  // The end of a block device is found by seeking; st_size is 0 there.
  const off_t end = ::lseek(fd.get(), 0, SEEK_END);
  if (end < 0) {
    return FailErrno(errno, "{}: its size cannot be determined", name);
  }
  return BootFile(std::move(fd), std::move(name), static_cast<uint64_t>(end));
}

Result<> BootFile::Read(uint64_t offset, void* out, uint64_t bytes) const {
  auto* to = static_cast<std::byte*>(out);
  while (bytes != 0) {
    const ssize_t got = ::pread(fd_.get(), to, std::min(bytes, kChunkBytes), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return FailErrno(errno, "{}: cannot be read", name_);
    }
    if (got == 0) {
      return Fail(Errc::kCorrupt, "{}: is truncated: it ends at byte {} where more must follow", name_,
                  offset);
    }
    to += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<uint64_t>(got);
  }
  return {};
}

Result<> BootFile::ReadIntoGuest(const GuestMemory& memory, Gpa to, uint64_t offset, uint64_t bytes) const {
  std::vector<iovec> pieces;
  if (!memory.ToIovecs(to, bytes, Access::kWrite, &pieces)) {
    return Fail(Errc::kNoMemory, "{}: {} bytes at {:#x} do not fit the guest's RAM", name_, bytes, to.v);
  }
  for (const iovec& piece : pieces) {
    TRY(Read(offset, piece.iov_base, piece.iov_len));
    offset += piece.iov_len;
  }
  memory.MarkDirty(to, bytes);
  return {};
}

}  // namespace nandu

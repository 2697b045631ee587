#include "block/file_geometry.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <memory>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/checked.h"

namespace nandu {
namespace {

constexpr uint32_t kSector = 512;
constexpr uint32_t kLargestBlock = 64 * 1024;  // a bounce chunk is a multiple of it

bool UsableAlignment(uint32_t alignment) { return IsPowerOfTwo(alignment) && alignment <= kLargestBlock; }

Result<> ReadDeviceGeometry(FileBackend& file) {
  uint64_t size = 0;
  int logical = 0;
  unsigned physical = 0;
  if (::ioctl(file.fd.get(), BLKGETSIZE64, &size) != 0 || ::ioctl(file.fd.get(), BLKSSZGET, &logical) != 0 ||
      ::ioctl(file.fd.get(), BLKPBSZGET, &physical) != 0) {
    return FailErrno(errno, "cannot read the size of {}", file.path);
  }
  if (logical < static_cast<int>(kSector) || !UsableAlignment(static_cast<uint32_t>(logical))) {
    return Fail(Errc::kUnsupported, "{} has blocks of {} bytes", file.path, logical);
  }
  file.size_bytes = size;
  file.logical_block_size = static_cast<uint32_t>(logical);
  file.physical_block_size = UsableAlignment(physical) ? physical : file.logical_block_size;
  return {};
}

// statx(2): newer kernels and file systems tell.
bool AskDirectAlignment(FileBackend& file) {
#ifdef STATX_DIOALIGN
  struct statx status {};
  const long result = ::syscall(SYS_statx, file.fd.get(), "", AT_EMPTY_PATH, STATX_DIOALIGN, &status);
  if (result == 0 && (status.stx_mask & STATX_DIOALIGN) != 0 &&
      UsableAlignment(status.stx_dio_offset_align) && UsableAlignment(status.stx_dio_mem_align)) {
    file.offset_alignment = std::max(status.stx_dio_offset_align, kSector);
    file.memory_alignment = status.stx_dio_mem_align;
    return true;
  }
#endif
  static_cast<void>(file);
  return false;
}

// Others show it by what they refuse: the smallest read that is not EINVAL. What cannot be told is taken as a
// page.
void ProbeDirectAlignment(FileBackend& file) {
  constexpr uint32_t kPage = 4096;
  const std::unique_ptr<std::byte, decltype(&std::free)> memory(
      static_cast<std::byte*>(std::aligned_alloc(kLargestBlock, 2 * size_t{kLargestBlock})), &std::free);
  const auto reads = [&](size_t shift, uint32_t bytes) {
    return ::pread(file.fd.get(), memory.get() + shift, bytes, 0) >= 0 || errno != EINVAL;
  };
  file.offset_alignment = kPage;
  for (uint32_t bytes = kSector; bytes <= kLargestBlock; bytes *= 2) {
    if (reads(0, bytes)) {
      file.offset_alignment = std::max(bytes, file.block_device ? file.logical_block_size : kSector);
      break;
    }
  }
  file.memory_alignment = kPage;
  for (uint32_t shift = kSector; shift < kPage; shift *= 2) {
    if (reads(shift, file.offset_alignment)) {
      file.memory_alignment = shift;
      break;
    }
  }
}

}  // namespace

Result<> ReadGeometry(FileBackend& file) {
  if (file.block_device) {
    TRY(ReadDeviceGeometry(file));
  } else {
    struct stat status {};
    if (::fstat(file.fd.get(), &status) != 0) {
      return FailErrno(errno, "cannot read the size of {}", file.path);
    }
    // QEMU shows a guest whole sectors too; what is past the end of the file reads as zeroes.
    file.size_bytes = AlignUp(static_cast<uint64_t>(status.st_size), kSector);
  }
  if (file.direct && !AskDirectAlignment(file)) {
    ProbeDirectAlignment(file);
  }
  return {};
}

}  // namespace nandu

#include "block/qcow2/backend_file.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "block/qcow2/vector_io.h"

namespace nandu::qcow2 {
namespace {

constexpr uint64_t kBufferBytes = 1 << 20;

// All of the vector, in as many calls as it takes; fewer bytes only at the end of the file.
template <class Call>
Result<uint64_t> Whole(std::span<const iovec> vector, uint64_t bytes, const std::string& path,
                       const char* verb, const Call& call) {
  uint64_t done = 0;
  std::vector<iovec> rest;
  while (done < bytes) {
    rest.clear();
    AppendPart(vector, done, bytes - done, &rest);
    const ssize_t result = call(rest.data(), static_cast<int>(std::min<size_t>(rest.size(), IOV_MAX)), done);
    if (result < 0 && errno == EINTR) {
      continue;
    }
    if (result < 0) {
      return FailErrno(errno, "cannot {} {}", verb, path);
    }
    if (result == 0) {
      break;
    }
    done += static_cast<uint64_t>(result);
  }
  return done;
}

}  // namespace

void BackendFile::Free::operator()(std::byte* memory) const { std::free(memory); }

Result<> BackendFile::Refresh() {
  struct stat status {};
  if (file_->block_device) {
    size_bytes_ = file_->size_bytes;
  } else if (::fstat(file_->fd.get(), &status) == 0) {
    size_bytes_ = static_cast<uint64_t>(status.st_size);
    file_->size_bytes = AlignUp(size_bytes_, 512);
  } else {
    return FailErrno(errno, "cannot stat {}", file_->path);
  }
  return {};
}

std::byte* BackendFile::Buffer() {
  if (buffer_ == nullptr) {
    buffer_.reset(static_cast<std::byte*>(std::aligned_alloc(64 * 1024, kBufferBytes)));
  }
  return buffer_.get();
}

void BackendFile::Grown(uint64_t end) {
  const MutexLock lock(file_->length_mutex);
  size_bytes_ = std::max(size_bytes_, end);
  if (!file_->block_device) {
    file_->size_bytes = std::max<uint64_t>(file_->size_bytes, AlignUp(size_bytes_, 512));
  }
}

Result<> BackendFile::ReadPlain(uint64_t offset, std::span<const iovec> into) {
  const uint64_t bytes = TotalBytes(into);
  const uint64_t got = TRY(Whole(into, bytes, file_->path, "read", [&](const iovec* v, int n, uint64_t done) {
    return ::preadv(file_->fd.get(), v, n, static_cast<off_t>(offset + done));
  }));
  FillZero(PartOf(into, got, bytes - got));
  return {};
}

Result<> BackendFile::WritePlain(uint64_t offset, std::span<const iovec> from) {
  const uint64_t bytes = TotalBytes(from);
  const uint64_t done_bytes =
      TRY(Whole(from, bytes, file_->path, "write", [&](const iovec* v, int n, uint64_t done) {
        return ::pwritev2(file_->fd.get(), v, n, static_cast<off_t>(offset + done),
                          file_->write_through ? RWF_DSYNC : 0);
      }));
  if (done_bytes != bytes) {
    return FailErrno(ENOSPC, "cannot write {}", file_->path);
  }
  return {};
}

Result<> BackendFile::ReadAligned(uint64_t offset, std::span<const iovec> into) {
  const uint64_t block = std::max<uint64_t>(file_->offset_alignment, 512);
  const uint64_t bytes = TotalBytes(into);
  for (uint64_t done = 0; done < bytes;) {
    const uint64_t begin = AlignDown(offset + done, block);
    const uint64_t end = std::min(AlignUp(offset + bytes, block), begin + kBufferBytes);
    const iovec buffer{Buffer(), end - begin};
    TRY(ReadPlain(begin, {&buffer, 1}));
    const uint64_t skip = offset + done - begin;
    const uint64_t part = std::min(bytes - done, end - begin - skip);
    CopyTo(PartOf(into, done, part), std::span<const std::byte>(Buffer() + skip, part));
    done += part;
  }
  return {};
}

Result<> BackendFile::WriteAligned(uint64_t offset, std::span<const iovec> from) {
  const uint64_t block = std::max<uint64_t>(file_->offset_alignment, 512);
  const uint64_t bytes = TotalBytes(from);
  for (uint64_t done = 0; done < bytes;) {
    const uint64_t begin = AlignDown(offset + done, block);
    const uint64_t end = std::min(AlignUp(offset + bytes, block), begin + kBufferBytes);
    const uint64_t skip = offset + done - begin;
    const uint64_t part = std::min(bytes - done, end - begin - skip);
    for (const uint64_t partial : {begin, end - block}) {
      const bool cut = partial < offset + done || partial + block > offset + done + part;
      const iovec one{Buffer() + (partial - begin), block};
      if (cut) {
        TRY(ReadPlain(partial, {&one, 1}));
      }
    }
    uint64_t at = skip;
    for (const iovec& vec : PartOf(from, done, part)) {
      std::copy_n(static_cast<const std::byte*>(vec.iov_base), vec.iov_len, Buffer() + at);
      at += vec.iov_len;
    }
    const iovec buffer{Buffer(), end - begin};
    TRY(WritePlain(begin, {&buffer, 1}));
    done += part;
  }
  return {};
}

Result<> BackendFile::Readv(uint64_t offset, std::span<const iovec> into) {
  return file_->direct ? ReadAligned(offset, into) : ReadPlain(offset, into);
}

Result<> BackendFile::Writev(uint64_t offset, std::span<const iovec> from) {
  const uint64_t bytes = TotalBytes(from);
  TRY(file_->direct ? WriteAligned(offset, from) : WritePlain(offset, from));
  Grown(file_->direct ? AlignUp(offset + bytes, file_->offset_alignment) : offset + bytes);
  return {};
}

Result<> BackendFile::WriteZeroes(uint64_t offset, uint64_t bytes) {
  if (file_->has_zero_range.load(std::memory_order_relaxed)) {
    if (::fallocate(file_->fd.get(), FALLOC_FL_ZERO_RANGE, static_cast<off_t>(offset),
                    static_cast<off_t>(bytes)) == 0) {
      Grown(offset + bytes);
      return {};
    }
    if (errno != EOPNOTSUPP && errno != EINVAL) {
      return FailErrno(errno, "cannot write {}", file_->path);
    }
    file_->has_zero_range = false;
  }
  std::vector<std::byte> zeroes(std::min(bytes, kBufferBytes));
  for (uint64_t done = 0; done < bytes; done += zeroes.size()) {
    TRY(Write(offset + done, std::span(zeroes).first(std::min<uint64_t>(bytes - done, zeroes.size()))));
  }
  return {};
}

Result<> BackendFile::Discard(uint64_t offset, uint64_t bytes) {
  if (file_->block_device) {
    uint64_t range[2] = {offset, bytes};
    return ::ioctl(file_->fd.get(), BLKDISCARD, range) == 0
               ? Result<>()
               : FailErrno(errno, "cannot discard in {}", file_->path);
  }
  const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  if (::fallocate(file_->fd.get(), mode, static_cast<off_t>(offset), static_cast<off_t>(bytes)) != 0) {
    return FailErrno(errno, "cannot discard in {}", file_->path);
  }
  return {};
}

Result<> BackendFile::Flush() {
  if (file_->no_flush || file_->read_only) {
    return {};
  }
  if (file_->lost_writes.load(std::memory_order_relaxed)) {
    return FailErrno(
        EIO, "cannot flush {}: an earlier flush failed, and the kernel has dropped what it could not write",
        file_->path);
  }
  int result = 0;
  do {
    result = ::fdatasync(file_->fd.get());
  } while (result != 0 && errno == EINTR);
  if (result != 0) {
    const int why = errno;
    if (!file_->direct) {
      file_->lost_writes = true;
    }
    return FailErrno(why, "cannot flush {}", file_->path);
  }
  return {};
}

Result<> BackendFile::Truncate(uint64_t bytes) {
  if (file_->block_device) {
    return bytes <= size_bytes_ ? Result<>() : FailErrno(ENOSPC, "cannot make {} larger", file_->path);
  }
  if (::ftruncate(file_->fd.get(), static_cast<off_t>(bytes)) != 0) {
    return FailErrno(errno, "cannot resize {} to {} bytes", file_->path, bytes);
  }
  const MutexLock lock(file_->length_mutex);
  size_bytes_ = bytes;
  file_->size_bytes = AlignUp(bytes, 512);
  return {};
}

}  // namespace nandu::qcow2

#include "block/file_node.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/log.h"
#include "block/file_geometry.h"
#include "block/file_transfer.h"
#include "block/qcow2/backend_file.h"
#include "loop/event_loop.h"

namespace nandu {
namespace {

constexpr uint64_t kSectorBytes = 512;

bool ForbidsWriting(int sys_errno) { return sys_errno == EACCES || sys_errno == EPERM || sys_errno == EROFS; }

// What a node's users together do with the image, and let others do. A node that nobody uses reads.
ImageUse Together(const std::vector<NodeUser>& users, bool force_share) {
  ImageUse all{kPermissionConsistentRead, kPermissionAll};
  for (const NodeUser& user : users) {
    all.used |= user.use.used;
    all.shared &= user.use.shared;
  }
  if (force_share) {
    all.shared = kPermissionAll;
  }
  return all;
}

}  // namespace

Result<> CheckUses(const std::string& node_name, const std::vector<NodeUser>& users, const ImageUse& use) {
  for (const NodeUser& other : users) {
    if ((use.used & ~other.use.shared) != 0 || (other.use.used & ~use.shared) != 0) {
      return Fail(Errc::kBusy,
                  "'{}' is in use by {}; a disk that several may write needs share-rw=on on each of them",
                  node_name, other.name);
    }
  }
  return {};
}

bool EraseUse(std::vector<NodeUser>* users, const std::string& name) {
  const auto at =
      std::find_if(users->begin(), users->end(), [&](const NodeUser& each) { return each.name == name; });
  if (at == users->end()) {
    return false;
  }
  users->erase(at);
  return true;
}

FileNode::FileNode(Opener& opener, FileConfig config) : config_(std::move(config)), opener_(opener) {}

Result<std::shared_ptr<FileNode>> FileNode::Open(Opener& opener, const FileConfig& config) {
  if (config.force_share && !config.read_only) {
    return Fail(Errc::kInvalidArgument,
                "force-share=on shares an image that others write: it needs read-only=on");
  }
  const std::shared_ptr<FileNode> node(new FileNode(opener, config));
  TRY(node->OpenFile(opener));
  TRY(ReadGeometry(*node->file_));
  TRY(node->HoldLocks());
  return node;
}

Result<> FileNode::OpenFile(Opener& opener) {
  if (config_.aio == AioEngine::kNative && !config_.direct) {
    return Fail(
        Errc::kInvalidArgument,
        "aio=native needs cache.direct=on (cache=none or directsync), which was not given; add it, or "
        "use aio=io_uring");
  }
  // Non-blocking until it is known to be no FIFO, whose open would wait for the other end.
  const int flags = O_NONBLOCK | (config_.direct ? O_DIRECT : 0);
  auto opened = opener.Open(config_.filename, flags | (config_.read_only ? O_RDONLY : O_RDWR));
  file_->read_only = config_.read_only;
  if (!opened && !config_.read_only && config_.auto_read_only && ForbidsWriting(opened.error().sys_errno)) {
    not_writable_ = std::move(opened).error();
    opened = opener.Open(config_.filename, flags | O_RDONLY);
    file_->read_only = true;
  }
  if (!opened && opened.error().sys_errno == EINVAL && config_.direct) {
    return Fail(Errc::kUnsupported,
                "cannot open {}: its file system has no O_DIRECT; use cache=writeback (cache.direct=off)",
                config_.filename);
  }
  file_->fd = TRY(std::move(opened));
  file_->path = config_.filename;
  struct stat status {};
  if (::fstat(file_->fd.get(), &status) != 0) {
    return FailErrno(errno, "cannot stat {}", config_.filename);
  }
  file_->block_device = S_ISBLK(status.st_mode);
  if (config_.kind == FileConfig::Kind::kFile && !S_ISREG(status.st_mode)) {
    return Fail(Errc::kInvalidArgument, "{} is {}; driver=file needs a regular file", config_.filename,
                S_ISDIR(status.st_mode) ? "a directory"
                : file_->block_device   ? "a block device, use driver=host_device"
                                        : "no regular file");
  }
  if (config_.kind == FileConfig::Kind::kHostDevice && !file_->block_device) {
    return Fail(Errc::kInvalidArgument, "{} is no block device; driver=host_device needs one",
                config_.filename);
  }
  ::fcntl(file_->fd.get(), F_SETFL, ::fcntl(file_->fd.get(), F_GETFL) & ~O_NONBLOCK);
  file_->direct = config_.direct;
  file_->no_flush = config_.no_flush;
  file_->write_through = config_.write_through;
  file_->worker_threads = config_.aio == AioEngine::kThreads;
  if (file_->worker_threads) {
    engine_ = "threads";
  }
  if (config_.locking != ImageLocking::kOff) {
    lock_.emplace(file_->fd.get(), config_.filename, opener_);
  }
  return {};
}

Result<std::vector<std::byte>> FileNode::ReadStart(size_t bytes) const {
  constexpr size_t kPage = 64 * 1024;
  const size_t whole = AlignUp(bytes, kPage);
  const std::unique_ptr<std::byte, decltype(&std::free)> memory(
      static_cast<std::byte*>(std::aligned_alloc(kPage, whole)), &std::free);
  ssize_t got = 0;
  do {
    got = ::pread(file_->fd.get(), memory.get(), whole, 0);
  } while (got < 0 && errno == EINTR);
  if (got < 0) {
    return FailErrno(errno, "cannot read {}", config_.filename);
  }
  return std::vector<std::byte>(memory.get(), memory.get() + std::min(bytes, static_cast<size_t>(got)));
}

std::string_view FileNode::driver() const {
  return config_.kind == FileConfig::Kind::kFile ? "file" : "host_device";
}

BlockLimits FileNode::limits() const {
  BlockLimits limits;
  limits.size_bytes = file_->size_bytes;
  limits.request_alignment = file_->direct ? 512 : 1;
  limits.logical_block_size = file_->logical_block_size;
  limits.physical_block_size = file_->physical_block_size;
  limits.discard_alignment = file_->logical_block_size;
  limits.read_only = file_->read_only;
  limits.can_discard = !file_->read_only;
  limits.can_write_zeroes = !file_->read_only;
  limits.write_cache = !file_->write_through;
  return limits;
}

Result<std::unique_ptr<BlockChannel>> FileNode::OpenChannel(EventLoop& loop) {
  std::unique_ptr<BlockChannel> channel = std::make_unique<FileChannel>(loop, file_);
  const bool threads = file_->worker_threads || loop.ring().engine() == "threads";
  engine_ = threads ? "threads" : "io_uring";
  NodePolicy policy;
  policy.size_bytes = std::shared_ptr<const std::atomic<uint64_t>>(file_, &file_->size_bytes);
  policy.unmap = config_.unmap;
  policy.detect_zeroes = config_.detect_zeroes;
  return std::make_unique<PolicyChannel>(loop, std::move(channel), policy);
}

Result<> FileNode::AddUse(const std::string& user, const ImageUse& use) {
  if ((use.used & kPermissionWrite) != 0 && file_->read_only) {
    if (not_writable_) {
      Error error = *not_writable_;
      error.message += "; use read-only=on for a disk that is only read";
      return tl::unexpected<Error>(std::move(error));
    }
    return Fail(Errc::kPermission, "'{}' is read-only", config_.node_name);
  }
  TRY(CheckUses(config_.node_name, users_, use));
  users_.push_back({user, use});
  if (Result<> held = HoldLocks(); !held) {
    users_.pop_back();
    return held;
  }
  return {};
}

void FileNode::RemoveUse(const std::string& user) {
  if (EraseUse(&users_, user)) {
    // Letting go of locks takes none, so that it cannot fail for another's sake.
    if (const Result<> held = HoldLocks(); !held) {
      Log(LogLevel::kWarning, "{}: {}", config_.node_name, held.error().message);
    }
  }
}

Result<> FileNode::HoldLocks() {
  if (!lock_ || released_) {
    return {};
  }
  Result<> held = lock_->Hold(Together(users_, config_.force_share));
  if (!held && held.error().code == Errc::kUnsupported && config_.locking == ImageLocking::kAuto) {
    Log(LogLevel::kWarning, "{}: {}", config_.node_name, held.error().message);
    lock_.reset();
    return {};
  }
  return held;
}

Result<> FileNode::ReleaseImage() {
  TRY(FlushImage());
  if (lock_) {
    TRY(lock_->Hold({}));
  }
  released_ = true;
  return {};
}

Result<> FileNode::ClaimImage() {
  released_ = false;
  Result<> held = HoldLocks();
  released_ = !held;
  return held;
}

Result<> FileNode::FlushImage() {
  if (!file_->read_only && !file_->no_flush && ::fdatasync(file_->fd.get()) != 0) {
    return FailErrno(errno, "cannot flush {}", config_.filename);
  }
  return {};
}

Result<> FileNode::ReadBlocking(uint64_t offset, std::span<const iovec> into) {
  return qcow2::BackendFile(file_).Readv(offset, into);
}

Result<> FileNode::CheckResize(uint64_t /*size_bytes*/) const {
  if (file_->read_only) {
    return Fail(Errc::kPermission, "it is read-only");
  }
  return {};
}

Result<> FileNode::ResizeImage(uint64_t size_bytes) {
  const MutexLock lock(file_->length_mutex);
  if (file_->block_device) {
    // Whoever owns the device has changed it already; here it is only looked at.
    uint64_t there = 0;
    if (::ioctl(file_->fd.get(), BLKGETSIZE64, &there) != 0) {
      return FailErrno(errno, "cannot read the size of {}", config_.filename);
    }
    if (size_bytes > there) {
      return Fail(Errc::kInvalidArgument,
                  "{} has {} bytes, and a block device cannot be made larger from here; extend it first",
                  config_.filename, there);
    }
    new_size_bytes_ = there;
    return {};
  }
  struct stat status {};
  if (::fstat(file_->fd.get(), &status) != 0) {
    return FailErrno(errno, "cannot stat {}", config_.filename);
  }
  const uint64_t shown = file_->size_bytes;
  const bool shrinks = AlignUp(size_bytes, kSectorBytes) < shown;
  if (shrinks) {
    // Before the file is: what comes from now on fails, and does not make it longer again.
    file_->size_bytes = AlignUp(size_bytes, kSectorBytes);
  }
  if ((shrinks || size_bytes > static_cast<uint64_t>(status.st_size)) &&
      ::ftruncate(file_->fd.get(), static_cast<off_t>(size_bytes)) != 0) {
    file_->size_bytes = shown;
    return FailErrno(errno, "cannot resize {} to {} bytes", config_.filename, size_bytes);
  }
  new_size_bytes_ = AlignUp(size_bytes, kSectorBytes);
  // Who cuts the tail of a block cuts it at the size that the file has now.
  file_->size_bytes = std::max<uint64_t>(file_->size_bytes, new_size_bytes_);
  return {};
}

void FileNode::ShowNewSize() {
  file_->size_bytes = new_size_bytes_.load();
  TellSize();
}

NodeInfo FileNode::info() const {
  NodeInfo info;
  info.node_name = config_.node_name;
  info.driver = driver();
  info.filename = config_.filename;
  info.engine = engine();
  info.size_bytes = file_->size_bytes;
  info.read_only = file_->read_only;
  info.direct = config_.direct;
  info.no_flush = config_.no_flush;
  info.write_cache = !config_.write_through;
  info.detect_zeroes = config_.detect_zeroes;
  constexpr uint64_t kStatBlock = 512;  // stat(2)
  struct stat status {};
  if (::fstat(file_->fd.get(), &status) == 0) {
    info.allocated_bytes = static_cast<uint64_t>(status.st_blocks) * kStatBlock;
  }
  for (const NodeUser& user : users_) {
    info.users.push_back(user.name);
  }
  return info;
}

}  // namespace nandu

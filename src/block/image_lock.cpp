#include "block/image_lock.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace nandu {
namespace {

constexpr int kUsedBase = 100;
constexpr int kUnsharedBase = 200;
constexpr int kPermissions = 4;

struct flock LockOf(short type, int byte) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return lock;
}

bool Has(uint8_t set, int permission) { return (set >> permission & 1) != 0; }
uint8_t Unshared(const ImageUse& use) { return static_cast<uint8_t>(kPermissionAll & ~use.shared); }
uint8_t Without(uint8_t set, uint8_t minus) { return static_cast<uint8_t>(set & ~minus); }

}  // namespace

Result<> ImageLock::Hold(const ImageUse& use) {
  const uint8_t old_unshared = Unshared(held_);
  const uint8_t new_unshared = Unshared(use);
  const uint8_t more_used = Without(use.used, held_.used);
  const uint8_t more_unshared = Without(new_unshared, old_unshared);
  Result<> done = LockBytes(more_used, more_unshared);
  if (done) {
    done = CheckOthers(use);
  }
  if (!done) {
    Unlock(more_used, more_unshared);
    return done;
  }
  Unlock(Without(held_.used, use.used), Without(old_unshared, new_unshared));
  held_ = use;
  return {};
}

Result<> ImageLock::LockBytes(uint8_t used, uint8_t unshared) {
  for (int permission = 0; permission < kPermissions; ++permission) {
    for (const auto& [set, base] : {std::pair{used, kUsedBase}, std::pair{unshared, kUnsharedBase}}) {
      if (!Has(set, permission)) {
        continue;
      }
      struct flock lock = LockOf(F_RDLCK, base + permission);
      if (::fcntl(fd_, F_OFD_SETLK, &lock) == 0) {
        continue;
      }
      if (errno == EAGAIN || errno == EACCES) {
        // Nobody of this protocol locks exclusively; something else does.
        return tl::unexpected<Error>(HeldBySomebody(base + permission, held_));
      }
      const bool no_locks = errno == EINVAL || errno == ENOLCK || errno == EOPNOTSUPP;
      Error error = FailErrno(errno, "cannot lock {}", path_).value();
      error.code = no_locks ? Errc::kUnsupported : error.code;
      error.message +=
          no_locks ? "; the file system has no locks, use locking=off if no other process uses the image"
                   : "";
      return tl::unexpected<Error>(std::move(error));
    }
  }
  return {};
}

Result<> ImageLock::CheckOthers(const ImageUse& use) const {
  for (int permission = 0; permission < kPermissions; ++permission) {
    const bool others_must_share = Has(use.used, permission);
    const bool others_must_not_use = !Has(use.shared, permission);
    for (const auto& [wanted, base] :
         {std::pair{others_must_share, kUnsharedBase}, std::pair{others_must_not_use, kUsedBase}}) {
      if (!wanted) {
        continue;
      }
      struct flock test = LockOf(F_WRLCK, base + permission);
      if (::fcntl(fd_, F_OFD_GETLK, &test) != 0) {
        return FailErrno(errno, "cannot test the locks of {}", path_);
      }
      if (test.l_type != F_UNLCK) {
        return tl::unexpected<Error>(HeldBySomebody(base + permission, use));
      }
    }
  }
  return {};
}

void ImageLock::Unlock(uint8_t used, uint8_t unshared) {
  for (int permission = 0; permission < kPermissions; ++permission) {
    for (const auto& [set, base] : {std::pair{used, kUsedBase}, std::pair{unshared, kUnsharedBase}}) {
      if (Has(set, permission)) {
        struct flock lock = LockOf(F_UNLCK, base + permission);
        ::fcntl(fd_, F_OFD_SETLK, &lock);
      }
    }
  }
}

Error ImageLock::HeldBySomebody(int byte, const ImageUse& use) const {
  const char* way_out = (use.used & kPermissionWrite) != 0 ? "read-only=on" : "force-share=on";
  const LockHolder holder = FindLockHolder(fd_, byte, opener_);
  std::string text;
  if (holder.pid == ::getpid()) {
    text = Format(
        "cannot lock {}: another drive of this VM has it; give it once, or use read-only=on on both", path_);
  } else if (holder.pid != 0) {
    text = Format("cannot lock {}: held by process {} ({}); stop that VM or use {}", path_, holder.pid,
                  holder.name, way_out);
  } else {
    text = Format("cannot lock {}: held by another process (QEMU or nandu); stop that VM or use {}", path_,
                  way_out);
  }
  return {Errc::kBusy, EAGAIN, std::move(text)};
}

}  // namespace nandu

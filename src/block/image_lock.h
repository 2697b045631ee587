// Image locks: open-file-description locks (fcntl(2), F_OFD_SETLK) on the bytes QEMU uses, so that nandu,
// QEMU and qemu-img exclude each other.
//
// Each permission that is used holds a shared lock on byte 100 + permission, each one that is not shared with
// others holds a shared lock on byte 200 + permission. Nobody may use what another does not share: after
// locking its own bytes, a process tests the opposite ones.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "sandbox/opener.h"

namespace nandu {

// A set of permissions on an image; the bit numbers are those of the lock bytes.
enum Permission : uint8_t {
  kPermissionConsistentRead = 1 << 0,
  kPermissionWrite = 1 << 1,
  kPermissionWriteUnchanged = 1 << 2,
  kPermissionResize = 1 << 3,
  kPermissionAll = 0xf,
};

// What a user of an image does, and what it lets others do at the same time.
struct ImageUse {
  uint8_t used = 0;
  uint8_t shared = kPermissionAll;
  bool operator==(const ImageUse&) const = default;
};

// The locks on one open image. Control loop.
class ImageLock {
 public:
  // `fd` and `opener` outlive it; `path` is for sentences.
  ImageLock(int fd, std::string path, Opener& opener) : fd_(fd), path_(std::move(path)), opener_(opener) {}

  // Replaces what is held by what `use` needs, or fails and leaves it as it was: kBusy when another process
  // is in the way, kUnsupported when the file system knows no locks.
  Result<> Hold(const ImageUse& use);
  const ImageUse& held() const { return held_; }

 private:
  Result<> LockBytes(uint8_t used, uint8_t unshared);
  Result<> CheckOthers(const ImageUse& use) const;
  void Unlock(uint8_t used, uint8_t unshared);
  Error HeldBySomebody(int byte, const ImageUse& use) const;

  const int fd_;
  const std::string path_;
  Opener& opener_;
  ImageUse held_;
};

// A process that holds a lock on `byte` of the file behind `fd`, as far as /proc shows it; 0: none is shown.
// `name` is its command.
struct LockHolder {
  int pid = 0;
  std::string name;
};
LockHolder FindLockHolder(int fd, int byte, Opener& opener);

}  // namespace nandu

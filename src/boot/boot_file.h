// A kernel, initrd or ROM file that is read again at every reset: an open descriptor, not a copy. The page
// cache holds the bytes; reads go straight into guest memory. Control thread.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "memory/guest_memory.h"

namespace nandu {

class BootFile {
 public:
  // `name` is what error sentences call it: the path as the user gave it. Fails for what is neither a regular
  // file nor a block device.
  static Result<BootFile> FromFd(UniqueFd fd, std::string name);

  const std::string& name() const { return name_; }
  uint64_t size() const { return size_; }  // bytes, when it was opened

  // All of [offset, offset + bytes), or an error: a file that shrank since it was opened is one.
  Result<> Read(uint64_t offset, void* out, uint64_t bytes) const;
  Result<> ReadIntoGuest(const GuestMemory& memory, Gpa to, uint64_t offset, uint64_t bytes) const;

 private:
  BootFile(UniqueFd fd, std::string name, uint64_t size);
  UniqueFd fd_;
  std::string name_;
  uint64_t size_ = 0;
};

}  // namespace nandu

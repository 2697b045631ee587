// Descriptors that whoever started the VM hands in, in numbered sets: opening /dev/fdset/N gives a copy of
// the one of set N that was opened in the way that is asked for. Source: QEMU's -add-fd, add-fd and their
// descriptions. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_annotations.h"
#include "base/unique_fd.h"

namespace nandu {

struct FdSetInfo {
  struct Member {
    int fd = -1;
    std::optional<std::string> opaque;  // whatever the giver wants to recognise it by
  };
  int64_t id = 0;
  std::vector<Member> members;
};

class FdSets {
 public:
  // Into set `id`, which is made where there is none; without one into the first free number. Answers the
  // set.
  Result<int64_t> Add(std::optional<int64_t> id, UniqueFd fd, std::optional<std::string> opaque);
  // A copy of the member whose access mode (O_RDONLY, O_WRONLY, O_RDWR) is that of `flags`. O_APPEND and
  // O_NONBLOCK of `flags` are set on it, and so on every copy of it. kNotFound, or kPermission where no
  // member fits.
  Result<UniqueFd> Open(int64_t id, int flags) const;
  // One member, or the whole set. Copies live on.
  Result<> Remove(int64_t id, std::optional<int> fd);
  std::vector<FdSetInfo> List() const;  // in the order of their numbers

 private:
  struct Member {
    UniqueFd fd;
    std::optional<std::string> opaque;
  };
  struct Set {
    int64_t id = 0;
    std::vector<Member> members;
  };
  mutable Mutex mutex_;
  std::vector<Set> sets_ NANDU_TA(guarded_by(mutex_));  // by number
};

// The number in "/dev/fdset/N"; none for another path.
std::optional<int64_t> FdSetOf(const std::string& path);

}  // namespace nandu

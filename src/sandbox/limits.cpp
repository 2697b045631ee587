#include "sandbox/limits.h"

#include <cerrno>
#include <sys/resource.h>

namespace nandu {

Result<uint64_t> RaiseFileLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return FailErrno(errno, "cannot read the limit on open files");
  }
  if (limit.rlim_cur != limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
      return FailErrno(errno, "cannot raise the limit on open files to {}", limit.rlim_max);
    }
  }
  return limit.rlim_cur;
}

}  // namespace nandu

#include "base/spare_eventfd.h"

#include <sys/eventfd.h>
#include <sys/resource.h>

namespace nandu {

UniqueFd TakeSpareEventFd() {
  UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  rlimit limit{};
  // The kernel gives the lowest free number: with few left, a high one.
  if (fd && ::getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
      static_cast<rlim_t>(fd.get()) + kKeptFiles >= limit.rlim_cur) {
    fd.Reset();
  }
  return fd;
}

}  // namespace nandu

#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace nandu {
namespace {

Errc CodeOf(int sys_errno) {
  switch (sys_errno) {
    case ENOENT:
    case ENODEV:
    case ENXIO: return Errc::kNotFound;
    case EEXIST: return Errc::kExists;
    case EBUSY:
    case EAGAIN: return Errc::kBusy;
    case EACCES:
    case EPERM: return Errc::kPermission;
    case EINVAL: return Errc::kInvalidArgument;
    case ENOSYS:
    case EOPNOTSUPP:
    case ENOTTY: return Errc::kUnsupported;
    case ENOMEM: return Errc::kNoMemory;
    case ECANCELED: return Errc::kCancelled;
    default: return Errc::kIo;
  }
}

}  // namespace

std::string ErrnoText(int sys_errno) {
  char buffer[128];
  return ::strerror_r(sys_errno, buffer, sizeof buffer);  // the GNU one: returns the text
}

tl::unexpected<Error> FailErrnoText(int sys_errno, std::string text) {
  text += ": ";
  text += ErrnoText(sys_errno);
  return tl::unexpected<Error>(Error{CodeOf(sys_errno), sys_errno, std::move(text)});
}

Error WithContext(Error error, std::string_view prefix) {
  error.message = std::string(prefix) + ": " + error.message;
  return error;
}

}  // namespace nandu

// Errors of setup, control and QMP. The data path uses one-byte enums instead (docs: ARCHITECTURE.md, Errors).
//
// A function that can fail returns Result<T>; TRY unwraps it or returns its error to the caller:
//     UniqueFd fd = TRY(OpenImage(path));
// An Error's sentence grows outward: each layer adds one prefix with WithContext.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

#include "base/format.h"

namespace nandu {

enum class Errc : uint8_t {
  kInvalidArgument,
  kNotFound,
  kExists,
  kUnsupported,
  kIo,
  kCorrupt,
  kBusy,
  kCancelled,
  kPermission,
  kNoMemory,
};

struct [[nodiscard]] Error {
  Errc code = Errc::kIo;
  int sys_errno = 0;    // the errno behind it, 0 when there was none
  std::string message;  // lower case, no full stop: what was tried, on which object, why, what to do
};

template <class T = void>
using Result = tl::expected<T, Error>;

// Result of a failed call: return Fail(Errc::kNotFound, "no device '{}'", id);
template <class... Args>
[[nodiscard]] tl::unexpected<Error> Fail(Errc code, fmt::format_string<Args...> text, const Args&... args) {
  return tl::unexpected<Error>(Error{code, 0, Format(text, args...)});
}

// The same after a system call: the sentence ends in errno's text, the code follows from errno.
[[nodiscard]] tl::unexpected<Error> FailErrnoText(int sys_errno, std::string text);
template <class... Args>
[[nodiscard]] tl::unexpected<Error> FailErrno(int sys_errno, fmt::format_string<Args...> text, const Args&... args) {
  return FailErrnoText(sys_errno, Format(text, args...));
}

// "disk0: " + the error's sentence.
[[nodiscard]] Error WithContext(Error error, std::string_view prefix);

template <class T>
[[nodiscard]] Result<T> Prefix(Result<T> result, std::string_view prefix) {
  if (!result) {
    return tl::unexpected<Error>(WithContext(std::move(result).error(), prefix));
  }
  return result;
}

// strerror without its static buffer; "Permission denied".
std::string ErrnoText(int sys_errno);

}  // namespace nandu

// Unwraps a Result or returns its error. One per statement, never nested.
#define TRY(...)                                                                                 \
  __extension__({                                                                                \
    auto try_result_ = (__VA_ARGS__);                                                            \
    if (!try_result_) [[unlikely]] {                                                             \
      return ::tl::unexpected<::nandu::Error>(std::move(try_result_).error());                   \
    }                                                                                            \
    ::nandu::internal::Unwrap(std::move(try_result_));                                           \
  })

namespace nandu::internal {
template <class T>
T Unwrap(Result<T>&& result) {
  return std::move(result).value();
}
inline void Unwrap(Result<void>&& /*result*/) {}
}  // namespace nandu::internal

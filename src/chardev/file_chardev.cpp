// The file backend (output only) and the pipe backend (a pair of FIFOs, or one for both directions).
#include <cerrno>
#include <fcntl.h>

#include "chardev/backends.h"
#include "chardev/fd_chardev.h"

namespace nandu {

Result<std::unique_ptr<ChardevBase>> CreateFileChardev(const ChardevContext& context, std::string id,
                                                       const FileChardevOptions& options) {
  const std::string what = Format("chardev '{}'", id);
  if (options.path.empty()) {
    return Fail(Errc::kInvalidArgument, "{}: a file needs path=", what);
  }
  const int mode = options.append ? O_APPEND : O_TRUNC;
  Result<UniqueFd> opened = OpenChardevPath(context.opener, options.path, O_WRONLY | O_CREAT | mode, what);
  if (!opened && opened.error().sys_errno == ENXIO) {
    return Fail(Errc::kInvalidArgument,
                "{}: nobody reads the FIFO {}; start its reader first, or use the pipe backend", what,
                options.path);
  }
  UniqueFd fd = TRY(std::move(opened));
  return std::make_unique<FdChardev>(context.loop, std::move(id), "file", UniqueFd(), std::move(fd));
}

Result<std::unique_ptr<ChardevBase>> CreatePipeChardev(const ChardevContext& context, std::string id,
                                                       const PipeOptions& options) {
  const std::string what = Format("chardev '{}'", id);
  if (options.path.empty()) {
    return Fail(Errc::kInvalidArgument, "{}: a pipe needs path=", what);
  }
  // O_RDWR: opening waits for nobody, and a peer that closes its end may come back.
  Result<UniqueFd> in = OpenChardevPath(context.opener, options.path + ".in", O_RDWR, what);
  Result<UniqueFd> out = OpenChardevPath(context.opener, options.path + ".out", O_RDWR, what);
  if (in && out) {
    return std::make_unique<FdChardev>(context.loop, std::move(id), "pipe", std::move(*in), std::move(*out));
  }
  UniqueFd both = TRY(OpenChardevPath(context.opener, options.path, O_RDWR, what));
  UniqueFd write_fd(::fcntl(both.get(), F_DUPFD_CLOEXEC, 0));
  if (!write_fd) {
    return FailErrno(errno, "{}: cannot duplicate the descriptor of {}", what, options.path);
  }
  return std::make_unique<FdChardev>(context.loop, std::move(id), "pipe", std::move(both),
                                     std::move(write_fd));
}

}  // namespace nandu

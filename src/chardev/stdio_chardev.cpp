// The stdio backend: standard input and output, raw when they are a terminal.
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chardev/backends.h"
#include "chardev/fd_chardev.h"
#include "chardev/terminal.h"

namespace nandu {
namespace {

bool stdio_in_use = false;  // control thread

// A descriptor of our own for standard input or output. Setting O_NONBLOCK on the inherited one would change
// it for the shell and every other process that shares the open file, so the file is opened anew where the
// kernel allows it.
struct OwnDescriptor {
  UniqueFd fd;
  int restore_fd = -1;  // an inherited open file whose flags were changed
  int restore_flags = 0;
};

Result<OwnDescriptor> TakeOver(int inherited, int access) {
  struct stat info {};
  if (::fstat(inherited, &info) != 0) {
    return FailErrno(errno, "standard {} is closed; redirect it from or to /dev/null",
                     inherited == 0 ? "input" : "output");
  }
  OwnDescriptor own;
  if (S_ISCHR(info.st_mode) || S_ISFIFO(info.st_mode)) {
    const std::string link = Format("/proc/self/fd/{}", inherited);
    own.fd.Reset(::open(link.c_str(), access | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (own.fd) {
      return own;
    }
  }
  own.fd.Reset(::fcntl(inherited, F_DUPFD_CLOEXEC, 3));
  if (!own.fd) {
    return FailErrno(errno, "cannot duplicate standard {}", inherited == 0 ? "input" : "output");
  }
  const int flags = ::fcntl(inherited, F_GETFL);
  if (!S_ISREG(info.st_mode) && flags >= 0 && (flags & O_NONBLOCK) == 0 &&
      ::fcntl(inherited, F_SETFL, flags | O_NONBLOCK) == 0) {
    own.restore_fd = inherited;
    own.restore_flags = flags;
  }
  return own;
}

class StdioChardev final : public FdChardev {
 public:
  StdioChardev(ControlLoop& loop, std::string id, OwnDescriptor in, OwnDescriptor out)
      : FdChardev(loop, std::move(id), "stdio", std::move(in.fd), std::move(out.fd)),
        in_(std::move(in)),
        out_(std::move(out)) {
    stdio_in_use = true;
  }
  ~StdioChardev() override {
    GiveBack();
    stdio_in_use = false;
  }
  void ReleaseHost() override { GiveBack(); }

 private:
  void GiveBack() const {
    TerminalGuard::Restore();
    for (const OwnDescriptor* each : {&in_, &out_}) {
      if (each->restore_fd >= 0) {
        ::fcntl(each->restore_fd, F_SETFL, each->restore_flags);
      }
    }
  }

  const OwnDescriptor in_;
  const OwnDescriptor out_;
};

}  // namespace

Result<std::unique_ptr<ChardevBase>> CreateStdioChardev(const ChardevContext& context, std::string id,
                                                        const StdioOptions& options) {
  if (stdio_in_use) {
    return Fail(Errc::kBusy,
                "chardev '{}': stdio is in use by another chardev; share one of them with mux=on", id);
  }
  OwnDescriptor in = TRY(TakeOver(STDIN_FILENO, O_RDONLY));
  OwnDescriptor out = TRY(TakeOver(STDOUT_FILENO, O_WRONLY));
  TRY(TerminalGuard::Enter(STDIN_FILENO, options.signal ? TerminalGuard::Signals::kInterruptUs
                                                        : TerminalGuard::Signals::kPassToGuest));
  return std::make_unique<StdioChardev>(context.loop, std::move(id), std::move(in), std::move(out));
}

}  // namespace nandu

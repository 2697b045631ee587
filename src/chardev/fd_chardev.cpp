// A fixed pair of descriptors as a chardev.
#include "chardev/fd_chardev.h"

#include <csignal>
#include <fcntl.h>

namespace nandu {

FdChardev::FdChardev(ControlLoop& loop, std::string id, std::string filename, UniqueFd read_fd,
                     UniqueFd write_fd)
    : ChardevBase(loop, std::move(id)),
      filename_(std::move(filename)),
      read_fd_(std::move(read_fd)),
      write_fd_(std::move(write_fd)),
      stream_(loop, read_fd_.get(), write_fd_.get(),
              {.room = [this] { return Room(); },
               .data = [this](std::span<const std::byte> bytes) { Deliver(bytes); },
               .input_ended = [this] { SetConnected(false); },
               .output_broken =
                   [this] { log().Warn("nobody reads {} any more; its output is dropped", filename_); }}) {
  IgnoreBrokenPipeSignal();
  SetConnected(true);
}

Result<UniqueFd> OpenChardevPath(Opener& opener, const std::string& path, int flags, std::string_view what) {
  return Prefix(opener.Open(path, flags | O_NONBLOCK, 0666), what);
}

void IgnoreBrokenPipeSignal() {
  static const bool ignored = [] {
    struct sigaction action {};
    action.sa_handler = SIG_IGN;  // NOLINT: the C macro
    return ::sigaction(SIGPIPE, &action, nullptr) == 0;
  }();
  static_cast<void>(ignored);
}

}  // namespace nandu

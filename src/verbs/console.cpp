// nandu console NAME: a terminal joined to a socket.
#include <array>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "verbs/message.h"
#include "verbs/named_vm.h"
#include "verbs/qmp_client.h"
#include "verbs/vm_directory.h"

namespace nandu {
namespace {

constexpr char kLeave = 0x1d;  // Ctrl-]

// Keys go to the guest one by one, as they are; back to what it was at the end.
class RawTerminal {
 public:
  RawTerminal() : is_terminal_(::tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (is_terminal_) {
      termios raw = before_;
      ::cfmakeraw(&raw);
      ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
  }
  ~RawTerminal() {
    if (is_terminal_) {
      ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    }
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  bool is_terminal() const { return is_terminal_; }

 private:
  termios before_{};
  bool is_terminal_;
};

bool WriteAll(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t done = ::write(fd, data, size);
    if (done < 0 && errno != EINTR) {
      return false;
    }
    data += done > 0 ? done : 0;
    size -= done > 0 ? static_cast<size_t>(done) : 0;
  }
  return true;
}

enum class Ended : uint8_t { kVm, kLeft };

Ended Copy(int console, bool keys_are_typed) {
  std::array<char, 4096> buffer{};
  bool reads_input = true;
  while (true) {
    std::array<pollfd, 2> ready = {pollfd{console, POLLIN, 0},
                                   pollfd{reads_input ? STDIN_FILENO : -1, POLLIN, 0}};
    if (::poll(ready.data(), ready.size(), -1) < 0 && errno != EINTR) {
      return Ended::kVm;
    }
    if (ready[0].revents != 0) {
      const ssize_t got = ::read(console, buffer.data(), buffer.size());
      if (got <= 0 || !WriteAll(STDOUT_FILENO, buffer.data(), static_cast<size_t>(got))) {
        return Ended::kVm;
      }
    }
    if (ready[1].revents != 0) {
      const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
      reads_input = got > 0;
      for (ssize_t i = 0; i < got; ++i) {
        const char key = buffer.at(static_cast<size_t>(i));
        if (keys_are_typed && key == kLeave) {
          return Ended::kLeft;
        }
        if (!WriteAll(console, &key, 1)) {
          return Ended::kVm;
        }
      }
    }
  }
}

}  // namespace

Result<int> JoinConsole(const std::string& name) {
  const RunningVm vm = TRY(FindVm(name));
  if (!vm.record.console_is_socket) {
    return Fail(
        Errc::kUnsupported,
        "{}'s console is on the terminal it was started from; start it with --detach to reach it from here",
        name);
  }
  const UniqueFd console = TRY(Prefix(ConnectTo(vm.File("console")), name));
  ::signal(SIGPIPE, SIG_IGN);  // a VM that ends while somebody types
  Ended ended{};
  {
    const RawTerminal terminal;
    if (terminal.is_terminal()) {
      Note(Format("{}'s console; Ctrl-] leaves it\r", name));
    }
    ended = Copy(console.get(), terminal.is_terminal());
  }
  if (ended == Ended::kVm) {
    Note(Format("{} closed its console", name));
  }
  return 0;
}

}  // namespace nandu

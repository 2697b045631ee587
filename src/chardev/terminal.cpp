// Raw mode and its way back (termios(3)).
#include "chardev/terminal.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <termios.h>
#include <unistd.h>

namespace nandu {
namespace {

// Read by signal handlers, so plain data with constant initialization.
constinit std::atomic<int> terminal_fd{-1};
constinit termios original{};
constinit termios raw{};

// The signals that end a process whose own code went wrong: give the terminal back, then let the default
// action happen.
constexpr std::array kFatalSignals = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};

void OnFatalSignal(int signal) {
  TerminalGuard::Restore();
  // SA_RESETHAND set the default action back: a fault happens again on return, abort() and kill() need the
  // raise.
  ::raise(signal);
}

void OnContinue(int /*signal*/) {
  const int saved_errno = errno;
  if (const int fd = terminal_fd.load(std::memory_order_relaxed); fd >= 0) {
    ::tcsetattr(fd, TCSANOW, &raw);  // a shell that ran meanwhile set its own modes
  }
  errno = saved_errno;
}

void InstallHandlers() {
  struct sigaction fatal {};
  fatal.sa_handler = OnFatalSignal;
  fatal.sa_flags = static_cast<int>(SA_RESETHAND) | SA_NODEFER;
  for (const int signal : kFatalSignals) {
    struct sigaction before {};
    // A sanitizer's or a debugger's handler stays.
    if (::sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_DFL) {  // NOLINT: the C macro
      ::sigaction(signal, &fatal, nullptr);
    }
  }
  struct sigaction carry_on {};
  carry_on.sa_handler = OnContinue;
  carry_on.sa_flags = SA_RESTART;
  ::sigaction(SIGCONT, &carry_on, nullptr);
  static_cast<void>(std::atexit(TerminalGuard::Restore));
}

}  // namespace

Result<> TerminalGuard::Enter(int fd, Signals signals) {
  if (::isatty(fd) == 0) {
    return {};
  }
  termios modes{};
  if (::tcgetattr(fd, &modes) != 0) {
    return FailErrno(errno, "cannot read the terminal's modes");
  }
  original = modes;
  ::cfmakeraw(&modes);
  modes.c_oflag |= OPOST;  // a line feed of the guest still starts a line
  if (signals == Signals::kInterruptUs) {
    modes.c_lflag |= ISIG;
  }
  modes.c_cc[VMIN] = 1;
  modes.c_cc[VTIME] = 0;
  raw = modes;
  terminal_fd.store(fd, std::memory_order_release);
  static const bool installed = (InstallHandlers(), true);
  static_cast<void>(installed);
  if (::tcsetattr(fd, TCSANOW, &raw) != 0) {
    const int reason = errno;
    terminal_fd.store(-1, std::memory_order_release);
    return FailErrno(reason, "cannot set the terminal to raw mode");
  }
  return {};
}

void TerminalGuard::Restore() {
  const int saved_errno = errno;
  if (const int fd = terminal_fd.exchange(-1, std::memory_order_acq_rel); fd >= 0) {
    ::tcsetattr(fd, TCSANOW, &original);
  }
  errno = saved_errno;
}

}  // namespace nandu

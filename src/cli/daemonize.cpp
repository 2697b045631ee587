#include "cli/daemonize.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nandu {
namespace {

constexpr char kReadyByte = 'r';

// The byte, or end of file when the child is gone.
[[noreturn]] void WaitForChild(int pipe) {
  char byte = 0;
  ssize_t got = 0;
  do {
    got = ::read(pipe, &byte, 1);
  } while (got < 0 && errno == EINTR);
  ::_exit(got == 1 && byte == kReadyByte ? 0 : 1);
}

}  // namespace

Result<Daemon> Daemon::Fork() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return FailErrno(errno, "-daemonize: cannot make a pipe");
  }
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) {
    return FailErrno(errno, "-daemonize: cannot fork");
  }
  if (child > 0) {
    write_end.Reset();
    WaitForChild(read_end.get());
  }
  read_end.Reset();
  ::setsid();
  // Twice: a session leader could acquire a terminal again.
  const pid_t grandchild = ::fork();
  if (grandchild < 0) {
    return FailErrno(errno, "-daemonize: cannot fork");
  }
  if (grandchild > 0) {
    ::_exit(0);
  }
  ::umask(027);
  return Daemon(std::move(write_end));
}

Result<> Daemon::Ready() {
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) {
    return FailErrno(errno, "-daemonize: cannot open /dev/null");
  }
  if (::chdir("/") != 0) {
    return FailErrno(errno, "-daemonize: cannot change to /");
  }
  ::dup2(null.get(), STDIN_FILENO);
  ::dup2(null.get(), STDOUT_FILENO);
  ::dup2(null.get(), STDERR_FILENO);
  if (::write(parent_.get(), &kReadyByte, 1) != 1) {
    return FailErrno(errno, "-daemonize: the parent is gone");
  }
  parent_.Reset();
  return {};
}

}  // namespace nandu

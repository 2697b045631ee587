#include "net/bridge_helper.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace nandu {
namespace {

constexpr int kHelpersFd = 3;  // of the child, where nothing else is inherited

// The descriptor that comes with the helper's one byte; empty when it closed its end without.
UniqueFd ReceiveDescriptor(int socket) {
  char byte = 0;
  iovec one{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &one;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  do {
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  UniqueFd fd;
  const cmsghdr* const first = got > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (first != nullptr && first->cmsg_level == SOL_SOCKET && first->cmsg_type == SCM_RIGHTS &&
      first->cmsg_len >= CMSG_LEN(sizeof(int))) {
    int number = -1;
    std::memcpy(&number, CMSG_DATA(first), sizeof(number));
    fd.Reset(number);
  }
  return fd;
}

Result<pid_t> Start(const std::string& helper, const std::string& bridge, int socket) {
  std::string fd_word = Format("--fd={}", kHelpersFd);
  std::string bridge_word = "--br=" + bridge;
  std::string vnet_word = "--use-vnet";
  std::string program = helper;
  std::string line = Format("exec {} {} {} {}", helper, vnet_word, fd_word, bridge_word);
  std::string shell = "/bin/sh";
  std::string run = "-c";
  const bool words = helper.find_first_of(" \t") != std::string::npos;
  std::array<char*, 5> direct = {program.data(), vnet_word.data(), fd_word.data(), bridge_word.data(), nullptr};
  std::array<char*, 4> by_shell = {shell.data(), run.data(), line.data(), nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  // A duplicate is not close-on-exec; one onto itself is made so too (glibc 2.29).
  ::posix_spawn_file_actions_adddup2(&actions, socket, kHelpersFd);
  pid_t child = 0;
  const int failed = ::posix_spawn(&child, words ? shell.c_str() : program.c_str(), &actions, nullptr,
                                   words ? by_shell.data() : direct.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    return FailErrno(failed, "cannot run the bridge helper {}; install qemu-system-common, or name one with helper=",
                     helper);
  }
  return child;
}

}  // namespace

Result<UniqueFd> TapFromHelper(const std::string& helper, const std::string& bridge) {
  for (const char c : bridge) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '_' || c == '.';
    if (!plain) {
      return Fail(Errc::kInvalidArgument, "br={} is no name of a bridge", bridge);
    }
  }
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return FailErrno(errno, "cannot make a socket for the bridge helper");
  }
  const UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  const pid_t child = TRY(Start(helper, bridge, theirs.get()));
  theirs.Reset();
  UniqueFd tap = ReceiveDescriptor(ours.get());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!tap || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return Fail(Errc::kPermission,
                "the bridge helper {} made no tap on {}; it must be setuid root and /etc/qemu/bridge.conf must say "
                "'allow {}'",
                helper, bridge, bridge);
  }
  return tap;
}

}  // namespace nandu

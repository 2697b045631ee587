#include "verbs/guest_process.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

extern "C" char** environ;

namespace nandu {
namespace {

struct Pipe {
  UniqueFd read, write;
};

Result<Pipe> MakePipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return FailErrno(errno, "pipe");
  }
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

}  // namespace

Result<GuestProcess> GuestProcess::Start(const std::vector<std::string>& words, const std::string& errors) {
  Pipe input = TRY(MakePipe());
  Pipe output = TRY(MakePipe());
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input.read.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output.write.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
  std::vector<char*> arguments;
  std::string program = "nandu";
  arguments.push_back(program.data());
  for (const std::string& word : words) {
    arguments.push_back(const_cast<char*>(word.c_str()));  // NOLINT: exec's interface
  }
  arguments.push_back(nullptr);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return FailErrno(error, "cannot start a VM");
  }
  return GuestProcess(pid, std::move(input.write), std::move(output.read));
}

GuestProcess::GuestProcess(GuestProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), to_(std::move(other.to_)), from_(std::move(other.from_)) {}

GuestProcess::~GuestProcess() {
  if (pid_ != 0) {
    ::kill(pid_, SIGKILL);
    Wait();
  }
}

std::string GuestProcess::Read(int timeout_ms, bool* ended) {
  pollfd ready{from_.get(), POLLIN, 0};
  if (::poll(&ready, 1, timeout_ms) <= 0) {
    return {};
  }
  std::array<char, 65536> buffer{};
  const ssize_t got = ::read(from_.get(), buffer.data(), buffer.size());
  if (got > 0) {
    return {buffer.data(), static_cast<size_t>(got)};
  }
  *ended = got == 0 || errno != EINTR;
  return {};
}

void GuestProcess::Type(std::string_view text) {
  while (!text.empty()) {
    const ssize_t done = ::write(to_.get(), text.data(), text.size());
    if (done < 0 && errno != EINTR) {
      return;  // it ended, which reading tells
    }
    text.remove_prefix(done > 0 ? static_cast<size_t>(done) : 0);
  }
}

int GuestProcess::Wait() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace nandu

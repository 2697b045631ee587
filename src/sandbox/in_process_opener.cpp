#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sandbox/opener.h"

namespace nandu {
namespace {

constexpr int kBacklog = 16;

struct UnixAddress {
  sockaddr_un address{};
  socklen_t length = 0;
};

// unix(7): a path ends in a zero byte that fits too; an abstract name begins with one.
Result<UnixAddress> MakeAddress(const std::string& path, Opener::UnixNamespace in) {
  UnixAddress made;
  constexpr size_t kMaxBytes = sizeof(made.address.sun_path) - 1;
  if (path.empty() || path.size() > kMaxBytes) {
    return Fail(Errc::kInvalidArgument, "unix socket path '{}' has {} bytes; it takes 1 to {}", path,
                path.size(), kMaxBytes);
  }
  const size_t shift = in == Opener::UnixNamespace::kAbstract ? 1 : 0;
  made.address.sun_family = AF_UNIX;
  std::memcpy(made.address.sun_path + shift, path.data(), path.size());
  made.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return made;
}

Result<UniqueFd> MakeSocket() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) {
    return FailErrno(errno, "cannot create a unix socket");
  }
  return fd;
}

class InProcessOpener final : public Opener {
 public:
  Result<UniqueFd> Open(const std::string& path, int flags, mode_t mode) override {
    if (const std::optional<int64_t> set = FdSetOf(path)) {
      return Prefix(fd_sets().Open(*set, flags), "cannot open " + path);
    }
    UniqueFd fd;
    do {
      fd.Reset(::open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY, mode));
    } while (!fd && errno == EINTR);
    if (!fd) {
      return FailErrno(errno, "cannot open {}", path);
    }
    return fd;
  }

  Result<UniqueFd> OpenDirectory(const std::string& path) override {
    return Open(path, O_RDONLY | O_DIRECTORY, 0);
  }

  Result<UniqueFd> ConnectUnix(const std::string& path, UnixNamespace in) override {
    const UnixAddress to = TRY(MakeAddress(path, in));
    UniqueFd fd = TRY(MakeSocket());
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to.address), to.length) != 0) {
      return FailErrno(errno, "cannot connect to the unix socket {}", path);
    }
    return fd;
  }

  Result<UniqueFd> ListenUnix(const std::string& path, UnixNamespace in) override {
    const UnixAddress at = TRY(MakeAddress(path, in));
    UniqueFd fd = TRY(MakeSocket());
    if (in == UnixNamespace::kPath) {
      RemoveOldSocket(path);
    }
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at.address), at.length) != 0) {
      return FailErrno(errno, "cannot listen on the unix socket {}", path);
    }
    if (::listen(fd.get(), kBacklog) != 0) {
      return FailErrno(errno, "cannot listen on the unix socket {}", path);
    }
    return fd;
  }

  Result<> Remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      return FailErrno(errno, "cannot remove {}", path);
    }
    return {};
  }

 private:
  static void RemoveOldSocket(const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) {
      ::unlink(path.c_str());
    }
  }
};

}  // namespace

std::unique_ptr<Opener> CreateInProcessOpener() { return std::make_unique<InProcessOpener>(); }

}  // namespace nandu

#include "cli/pid_file.h"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace nandu {

Result<PidFile> PidFile::Create(const std::string& path) {
  std::error_code failed;
  const std::filesystem::path absolute = std::filesystem::absolute(path, failed);
  UniqueFd fd;
  // Somebody who ends at this moment removes the file we just locked: then it is not the one at `path`, and
  // the next try makes one.
  for (bool ours = false; !ours;) {
    fd.Reset(::open(absolute.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd) {
      return FailErrno(errno, "cannot create pid file '{}'", path);
    }
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (::fcntl(fd.get(), F_SETLK, &lock) != 0) {
      if (errno == EACCES || errno == EAGAIN) {
        return Fail(Errc::kBusy, "pid file '{}' is locked by a running VM; give this one another", path);
      }
      return FailErrno(errno, "cannot lock pid file '{}'", path);
    }
    struct stat held {};
    struct stat named {};
    ours = ::fstat(fd.get(), &held) == 0 && ::stat(absolute.c_str(), &named) == 0 &&
           held.st_ino == named.st_ino && held.st_dev == named.st_dev;
  }
  const std::string text = Format("{}\n", ::getpid());
  if (::ftruncate(fd.get(), 0) != 0 ||
      ::pwrite(fd.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return FailErrno(errno, "cannot write pid file '{}'", path);
  }
  return PidFile(absolute.string(), std::move(fd));
}

void PidFile::Remove() {
  if (fd_) {
    ::unlink(path_.c_str());
    fd_.Reset();
  }
}

}  // namespace nandu

// Every path nandu touches is opened here, so that one place decides what may be opened. Any thread; calls
// may block as the file system does.
//
// Errors name the path and what was tried: "cannot open /vm/a.raw: Permission denied".
#pragma once

#include <memory>
#include <string>
#include <sys/types.h>

#include "base/result.h"
#include "base/unique_fd.h"
#include "sandbox/fd_sets.h"

namespace nandu {

class Opener {
 public:
  Opener() = default;
  Opener(const Opener&) = delete;
  Opener& operator=(const Opener&) = delete;
  virtual ~Opener() = default;

  // open(2); O_CLOEXEC and O_NOCTTY are added. `mode` is for O_CREAT. /dev/fdset/N is a descriptor that was
  // handed in.
  virtual Result<UniqueFd> Open(const std::string& path, int flags, mode_t mode = 0) = 0;
  virtual Result<UniqueFd> OpenDirectory(const std::string& path) = 0;

  // Stream sockets, close-on-exec and non-blocking.
  enum class UnixNamespace : unsigned char { kPath, kAbstract };
  virtual Result<UniqueFd> ConnectUnix(const std::string& path, UnixNamespace in = UnixNamespace::kPath) = 0;
  // A socket left at `path` by an earlier run is replaced; any other file there is an error.
  virtual Result<UniqueFd> ListenUnix(const std::string& path, UnixNamespace in = UnixNamespace::kPath) = 0;
  // What nandu made and leaves behind no more: sockets, pid files. Absent is fine.
  virtual Result<> Remove(const std::string& path) = 0;

  FdSets& fd_sets() { return fd_sets_; }

 private:
  FdSets fd_sets_;
};

// Opens with this process's own rights.
std::unique_ptr<Opener> CreateInProcessOpener();

}  // namespace nandu

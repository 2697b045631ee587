// -pidfile: written and locked while the VM lives, so that two VMs cannot share one; removed at the end.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace nandu {

class PidFile {
 public:
  PidFile() = default;
  // Of this process, so after -daemonize forked.
  static Result<PidFile> Create(const std::string& path);
  PidFile(PidFile&&) noexcept = default;
  PidFile& operator=(PidFile&&) noexcept = default;
  ~PidFile() { Remove(); }
  void Remove();  // before its end, where that does not come

 private:
  PidFile(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  std::string path_;  // absolute: the process may change its directory
  UniqueFd fd_;
};

}  // namespace nandu

// Running VMs and where they are found: a directory each below $XDG_RUNTIME_DIR/nandu, or /run/nandu for
// root. In it lie the monitor's socket, the console's, the pid, what was asked for (vm.json), and a lock that
// its process holds: a directory whose lock is free belongs to nobody any more. Blocks as the file system
// does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/described.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace nandu {

struct VmRecord {
  std::string name;
  std::string image;
  unsigned cpus = 0;
  std::string memory;
  std::optional<uint16_t> ssh_port;
  std::string user;                // of ssh and the console; empty: the image's own
  bool console_is_socket = false;  // else it is on the terminal it was started from
  int64_t started_s = 0;           // since 1970
};
BOOST_DESCRIBE_STRUCT(VmRecord, (), (name, image, cpus, memory, ssh_port, user, console_is_socket, started_s))

struct RunningVm {
  VmRecord record;
  int pid = 0;  // 0: it is just starting
  std::string directory;
  std::string File(const char* name) const { return directory + "/" + name; }
};

class VmDirectory {
 public:
  static Result<std::string> Root();
  // Makes the directory of a new VM. kExists while another of that name runs; what a dead one left is
  // removed.
  static Result<VmDirectory> Claim(const std::string& name);
  VmDirectory(VmDirectory&&) = default;
  VmDirectory& operator=(VmDirectory&&) = delete;
  VmDirectory(const VmDirectory&) = delete;
  VmDirectory& operator=(const VmDirectory&) = delete;
  ~VmDirectory() = default;

  const std::string& path() const { return path_; }
  std::string File(const char* name) const { return path_ + "/" + name; }
  Result<> Write(const VmRecord& record) const;
  void Remove();  // with all in it

 private:
  VmDirectory(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  UniqueFd lock_;
};

// In the order of their names. What dead VMs left is removed on the way.
Result<std::vector<RunningVm>> ListVms();
// kNotFound with the names there are.
Result<RunningVm> FindVm(const std::string& name);
// Whether its process is gone, to its last act.
bool IsGone(const RunningVm& vm);

}  // namespace nandu

#include "verbs/vm_directory.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/nearest.h"

namespace nandu {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLock = "lock";
constexpr const char* kRecord = "vm.json";
constexpr const char* kPid = "pid";
// A socket's path has 108 bytes with its end, and "/console" is appended to the directory's.
constexpr size_t kMostPathBytes = 95;

Result<> CheckName(const std::string& name) {
  const bool fine =
      !name.empty() && name.front() != '.' && name.front() != '-' && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_' || c == '.';
      });
  if (!fine) {
    return Fail(Errc::kInvalidArgument,
                "'{}' is no name for a VM: letters, digits, '-', '_' and '.', a letter or digit first", name);
  }
  return {};
}

Result<> MakeDirectory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return FailErrno(errno, "cannot make {}", path);
  }
  return {};
}

void RemoveAll(const std::string& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

// The lock, if nobody holds it.
Result<UniqueFd> TryLock(const std::string& directory) {
  const std::string path = directory + "/" + kLock;
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) {
    return FailErrno(errno, "cannot open {}", path);
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return FailErrno(errno, "cannot lock {}", path);
  }
  return fd;
}

std::string Content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

Result<RunningVm> ReadVm(const std::string& directory) {
  RunningVm vm;
  vm.directory = directory;
  const boost::json::value record = TRY(ParseJson(Content(directory + "/" + kRecord)));
  vm.record = TRY(FromJson<VmRecord>(record));
  vm.pid = std::atoi(Content(directory + "/" + kPid).c_str());
  return vm;
}

}  // namespace

Result<std::string> VmDirectory::Root() {
  const char* const runtime =
      std::getenv("XDG_RUNTIME_DIR");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  std::string root = runtime != nullptr && *runtime == '/' ? Format("{}/nandu", runtime)
                     : ::geteuid() == 0                    ? std::string("/run/nandu")
                                                           : Format("/tmp/nandu-{}", ::geteuid());
  TRY(MakeDirectory(root));
  struct stat status {};
  if (::lstat(root.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != ::geteuid()) {
    return Fail(Errc::kPermission,
                "{} is somebody else's; say with XDG_RUNTIME_DIR where running VMs are kept", root);
  }
  return root;
}

Result<VmDirectory> VmDirectory::Claim(const std::string& name) {
  TRY(CheckName(name));
  std::string path = Format("{}/{}", TRY(Root()), name);
  if (path.size() > kMostPathBytes) {
    return Fail(Errc::kInvalidArgument, "{} is too long for the path of a socket; give a shorter --name",
                path);
  }
  TRY(MakeDirectory(path));
  Result<UniqueFd> lock = TryLock(path);
  if (!lock && lock.error().sys_errno == EWOULDBLOCK) {
    return Fail(Errc::kExists,
                "a VM named '{}' is running; choose another with --name, or end it: nandu stop {}", name,
                name);
  }
  UniqueFd held = TRY(std::move(lock));
  for (const fs::directory_entry& left : fs::directory_iterator(path)) {
    if (left.path().filename() != kLock) {
      RemoveAll(left.path());
    }
  }
  return VmDirectory(std::move(path), std::move(held));
}

Result<> VmDirectory::Write(const VmRecord& record) const {
  std::ofstream file(File(kRecord));
  file << JsonText(ToJson(TypeOf<VmRecord>(), &record)) << "\n";
  if (!file.flush()) {
    return Fail(Errc::kIo, "cannot write {}", File(kRecord));
  }
  return {};
}

void VmDirectory::Remove() { RemoveAll(path_); }

Result<std::vector<RunningVm>> ListVms() {
  std::vector<RunningVm> vms;
  for (const fs::directory_entry& entry : fs::directory_iterator(TRY(VmDirectory::Root()))) {
    if (!entry.is_directory()) {
      continue;
    }
    // One without a record is just being made.
    if (!fs::exists(entry.path() / kRecord)) {
      continue;
    }
    if (const Result<UniqueFd> lock = TryLock(entry.path())) {
      RemoveAll(entry.path());
      continue;
    }
    if (Result<RunningVm> vm = ReadVm(entry.path())) {
      vms.push_back(std::move(vm).value());
    }
  }
  std::ranges::sort(vms, {}, [](const RunningVm& vm) { return vm.record.name; });
  return vms;
}

Result<RunningVm> FindVm(const std::string& name) {
  const std::vector<RunningVm> vms = TRY(ListVms());
  std::vector<std::string_view> names;
  for (const RunningVm& vm : vms) {
    if (vm.record.name == name) {
      return vm;
    }
    names.push_back(vm.record.name);
  }
  if (names.empty()) {
    return Fail(Errc::kNotFound, "no VM named '{}' is running, nor any other (nandu run IMAGE starts one)",
                name);
  }
  return Fail(Errc::kNotFound, "no VM named '{}' is running{}; nandu ps lists them", name,
              DidYouMean(name, names));
}

bool IsGone(const RunningVm& vm) {
  const UniqueFd fd(::open(vm.File(kLock).c_str(), O_RDWR | O_CLOEXEC));
  return !fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0;
}

}  // namespace nandu

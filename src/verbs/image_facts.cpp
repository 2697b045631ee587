#include "verbs/image_facts.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

#include "block/file_backend.h"
#include "block/image_format.h"
#include "block/qcow2/backend_file.h"
#include "block/qcow2/header.h"

namespace nandu {

Result<std::string> ImageFormat(const std::string& path) {
  const auto backend = std::make_shared<FileBackend>();
  backend->fd = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  backend->path = path;
  struct stat status {};
  if (!backend->fd || ::fstat(backend->fd.get(), &status) != 0) {
    return FailErrno(errno, "cannot open {}", path);
  }
  if (S_ISDIR(status.st_mode)) {
    return Fail(Errc::kInvalidArgument, "{} is a directory, no image", path);
  }
  std::array<std::byte, kProbeBytes> start{};
  const ssize_t got = ::pread(backend->fd.get(), start.data(), start.size(), 0);
  if (got < 0) {
    return FailErrno(errno, "cannot read {}", path);
  }
  const std::string_view guessed = GuessFormat(std::span(start).first(static_cast<size_t>(got)));
  if (guessed == "raw") {
    return std::string(guessed);
  }
  if (guessed != "qcow2") {
    return Fail(
        Errc::kUnsupported,
        "{} is a {} image, which nandu does not read; convert it: qemu-img convert -O qcow2 {} {}.qcow2",
        path, guessed, path, NameFromImage(path));
  }
  qcow2::BackendFile file(backend);
  TRY(file.Refresh());
  const qcow2::Header header = TRY(Prefix(qcow2::ReadHeader(file), path));
  const bool names_another = !header.backing_file.empty() || header.external_data();
  if (names_another && !path.ends_with(".qcow2")) {
    return Fail(Errc::kPermission,
                "{} looks like qcow2 and names another file, '{}'; a guest may have written that to a raw "
                "disk, so say --format "
                "qcow2 if it is yours",
                path, header.backing_file.empty() ? header.data_file : header.backing_file);
  }
  return std::string(guessed);
}

std::string NameFromImage(std::string_view path) {
  path.remove_prefix(std::min(path.rfind('/') + 1, path.size()));  // npos + 1 is 0
  if (const size_t dot = path.rfind('.'); dot != std::string_view::npos && dot > 0) {
    path = path.substr(0, dot);
  }
  std::string name(path);
  std::ranges::replace_if(
      name,
      [](char c) {
        const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                          c == '-' || c == '_' || c == '.';
        return !fine;
      },
      '-');
  return name.empty() || name.front() == '.' || name.front() == '-' ? "vm" + name : name;
}

}  // namespace nandu

#include "machine/firmware_files.h"

#include <fcntl.h>

namespace nandu {

namespace {

constexpr uint64_t kMostBytes = 64 << 20;
constexpr std::string_view kDirectories[] = {"/usr/share/qemu", "/usr/share/seabios", "/usr/lib/ipxe/qemu"};

}  // namespace

std::span<const std::string_view> FirmwareFiles::DistributionDirectories() { return kDirectories; }

Result<BootFile> FirmwareFiles::Find(const std::string& name) const {
  std::vector<std::string> places = {name};
  if (!name.starts_with('/')) {
    for (const std::string& directory : directories_) {
      places.push_back(directory + "/" + name);
    }
    for (const std::string_view directory : kDirectories) {
      places.push_back(std::string(directory) + "/" + name);
    }
  }
  for (const std::string& place : places) {
    Result<UniqueFd> fd = opener_.Open(place, O_RDONLY);
    if (fd) {
      return BootFile::FromFd(std::move(fd).value(), place);
    }
    if (places.size() == 1) {
      return tl::unexpected(std::move(fd).error());
    }
  }
  std::string looked;
  for (size_t i = 1; i < places.size(); i++) {
    looked += Format("{}{}", i == 1 ? "" : ", ", places[i].substr(0, places[i].size() - name.size() - 1));
  }
  return Fail(Errc::kNotFound,
              "{}: there is no such file, neither here nor in {}; install its package (seabios, "
              "qemu-system-data, ipxe-qemu) or name its directory with -L",
              name, looked);
}

Result<std::vector<uint8_t>> FirmwareFiles::Read(const std::string& name) const {
  const BootFile file = TRY(Find(name));
  if (file.size() > kMostBytes) {
    return Fail(Errc::kInvalidArgument, "{}: has {} bytes; that is no firmware", file.name(), file.size());
  }
  std::vector<uint8_t> bytes(file.size());
  TRY(file.Read(0, bytes.data(), bytes.size()));
  return bytes;
}

}  // namespace nandu

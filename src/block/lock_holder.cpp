// Who holds a lock: the kernel shows the locks of an open file description in /proc/PID/fdinfo/FD (proc(5))
// to those who may look.
#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <vector>

#include "block/image_lock.h"

namespace nandu {
namespace {

std::vector<std::string> NumbersIn(const std::string& directory, Opener& opener) {
  std::vector<std::string> names;
  auto fd = opener.OpenDirectory(directory);
  if (!fd) {
    return names;
  }
  DIR* raw = ::fdopendir(fd->get());
  if (raw == nullptr) {
    return names;
  }
  fd->Release();
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(raw, &::closedir);
  while (const dirent* entry = ::readdir(listing.get())) {
    if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') {
      names.emplace_back(entry->d_name);
    }
  }
  return names;
}

std::string SmallFile(const std::string& path, Opener& opener) {
  std::string text(4096, '\0');
  const auto fd = opener.Open(path, O_RDONLY);
  const ssize_t got = fd ? ::read(fd->get(), text.data(), text.size()) : 0;
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return text;
}

// "lock:\t1: OFDLCK ADVISORY  READ -1 fe:00:11001951 100 101": device and inode, first and last byte.
bool Covers(const std::string& fdinfo, const std::string& file, int byte) {
  for (size_t at = fdinfo.find(file); at != std::string::npos; at = fdinfo.find(file, at + 1)) {
    const char* text = fdinfo.data() + at + file.size();
    const char* end = fdinfo.data() + fdinfo.size();
    int64_t first = 0;
    int64_t last = 0;
    const auto after_first = std::from_chars(text, end, first);
    if (after_first.ec != std::errc() || after_first.ptr + 1 >= end) {
      continue;
    }
    const bool to_the_end = std::strncmp(after_first.ptr + 1, "EOF", 3) == 0;
    const auto after_last = std::from_chars(after_first.ptr + 1, end, last);
    if (first <= byte && (to_the_end || (after_last.ec == std::errc() && byte <= last))) {
      return true;
    }
  }
  return false;
}

bool HoldsLock(const std::string& pid, const std::string& file, int byte, int own_fd, Opener& opener) {
  const bool own = pid == std::to_string(::getpid());
  for (const std::string& fd : NumbersIn("/proc/" + pid + "/fdinfo", opener)) {
    if (own && fd == std::to_string(own_fd)) {
      continue;
    }
    if (Covers(SmallFile("/proc/" + pid + "/fdinfo/" + fd, opener), file, byte)) {
      return true;
    }
  }
  return false;
}

}  // namespace

LockHolder FindLockHolder(int fd, int byte, Opener& opener) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) {
    return {};
  }
  // As the kernel writes it: hexadecimal device, decimal inode.
  std::array<char, 64> file{};
  std::snprintf(file.data(), file.size(), " %02x:%02x:%llu ", ::major(status.st_dev), ::minor(status.st_dev),
                static_cast<unsigned long long>(status.st_ino));
  for (const std::string& pid : NumbersIn("/proc", opener)) {
    LockHolder holder;
    const auto parsed = std::from_chars(pid.data(), pid.data() + pid.size(), holder.pid);
    if (parsed.ec == std::errc() && HoldsLock(pid, file.data(), byte, fd, opener)) {
      holder.name = SmallFile("/proc/" + pid + "/comm", opener);
      holder.name.erase(holder.name.find_last_not_of('\n') + 1);
      return holder;
    }
  }
  return {};
}

}  // namespace nandu

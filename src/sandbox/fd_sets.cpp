#include "sandbox/fd_sets.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fcntl.h>

namespace nandu {

std::optional<int64_t> FdSetOf(const std::string& path) {
  constexpr std::string_view kPrefix = "/dev/fdset/";
  if (!path.starts_with(kPrefix)) {
    return std::nullopt;
  }
  int64_t id = -1;
  const auto [end, error] = std::from_chars(path.data() + kPrefix.size(), path.data() + path.size(), id);
  if (error != std::errc() || end != path.data() + path.size() || id < 0) {
    return std::nullopt;
  }
  return id;
}

Result<int64_t> FdSets::Add(std::optional<int64_t> id, UniqueFd fd, std::optional<std::string> opaque) {
  const MutexLock lock(mutex_);
  if (id && *id < 0) {
    return Fail(Errc::kInvalidArgument, "{} is no number of a descriptor set; give 0 or more", *id);
  }
  int64_t wanted = id.value_or(0);
  if (!id) {
    for (const Set& set : sets_) {
      wanted += set.id == wanted ? 1 : 0;
    }
  }
  auto at = std::ranges::find_if(sets_, [&](const Set& set) { return set.id >= wanted; });
  if (at == sets_.end() || at->id != wanted) {
    at = sets_.insert(at, Set{wanted, {}});
  }
  at->members.push_back({std::move(fd), std::move(opaque)});
  return wanted;
}

Result<UniqueFd> FdSets::Open(int64_t id, int flags) const {
  const MutexLock lock(mutex_);
  const auto set = std::ranges::find(sets_, id, &Set::id);
  if (set == sets_.end()) {
    return Fail(Errc::kNotFound, "there is no descriptor set {}", id);
  }
  for (const Member& member : set->members) {
    const int status = ::fcntl(member.fd.get(), F_GETFL);
    if (status < 0 || (status & O_ACCMODE) != (flags & O_ACCMODE)) {
      continue;
    }
    UniqueFd copy(::fcntl(member.fd.get(), F_DUPFD_CLOEXEC, 3));
    constexpr int kSettable = O_APPEND | O_NONBLOCK;
    if (!copy || ((flags & kSettable & ~status) != 0 &&
                  ::fcntl(copy.get(), F_SETFL, status | (flags & kSettable)) != 0)) {
      return FailErrno(errno, "descriptor set {}", id);
    }
    return copy;
  }
  const char* const how = (flags & O_ACCMODE) == O_RDONLY   ? "reading alone"
                          : (flags & O_ACCMODE) == O_WRONLY ? "writing alone"
                                                            : "reading and writing";
  return FailErrno(EACCES, "descriptor set {} has no descriptor that was opened for {}", id, how);
}

Result<> FdSets::Remove(int64_t id, std::optional<int> fd) {
  const MutexLock lock(mutex_);
  const auto set = std::ranges::find(sets_, id, &Set::id);
  const auto unknown = [&]() -> Result<> {
    return fd ? Fail(Errc::kNotFound, "File descriptor named 'fdset-id:{}, fd:{}' not found", id, *fd)
              : Fail(Errc::kNotFound, "File descriptor named 'fdset-id:{}' not found", id);
  };
  if (set == sets_.end()) {
    return unknown();
  }
  if (!fd) {
    sets_.erase(set);
    return {};
  }
  const auto member =
      std::ranges::find_if(set->members, [&](const Member& each) { return each.fd.get() == *fd; });
  if (member == set->members.end()) {
    return unknown();
  }
  set->members.erase(member);
  if (set->members.empty()) {
    sets_.erase(set);
  }
  return {};
}

std::vector<FdSetInfo> FdSets::List() const {
  const MutexLock lock(mutex_);
  std::vector<FdSetInfo> all;
  for (const Set& set : sets_) {
    FdSetInfo info;
    info.id = set.id;
    for (const Member& member : set.members) {
      info.members.push_back({member.fd.get(), member.opaque});
    }
    all.push_back(std::move(info));
  }
  return all;
}

}  // namespace nandu

// -add-fd: descriptors that whoever started the VM hands in.
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "machine/machine.h"
#include "machine/machine_impl.h"

namespace nandu {

// Each is copied: several sets may have the same one. The numbers of the command line are closed then, as
// QEMU does; nobody uses them by these.
Result<> Machine::Impl::TakeDescriptors() {
  for (const AddFdConfig& add : config.add_fds) {
    const std::string where = Format("-add-fd fd={}", add.fd);
    if (add.fd <= STDERR_FILENO) {
      return Fail(Errc::kInvalidArgument, "{}: standard input, output and errors cannot be handed in", where);
    }
    const int flags = ::fcntl(add.fd, F_GETFD);
    if (flags < 0 || (flags & FD_CLOEXEC) != 0) {
      return Fail(Errc::kInvalidArgument, "{}: there is no such descriptor from whoever started nandu",
                  where);
    }
    UniqueFd copy(::fcntl(add.fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    if (!copy) {
      return FailErrno(errno, "{}", where);
    }
    TRY(Prefix(opener->fd_sets().Add(add.set, std::move(copy), add.opaque), where));
  }
  for (const AddFdConfig& add : config.add_fds) {
    if (const int flags = ::fcntl(add.fd, F_GETFD); flags >= 0 && (flags & FD_CLOEXEC) == 0) {
      ::close(add.fd);
    }
  }
  return {};
}

std::vector<FdSetFacts> Machine::QueryFdSets() const {
  std::vector<FdSetFacts> all;
  for (const FdSetInfo& set : impl_->opener->fd_sets().List()) {
    FdSetFacts facts;
    facts.id = set.id;
    for (const FdSetInfo::Member& member : set.members) {
      facts.members.push_back({member.fd, member.opaque});
    }
    all.push_back(std::move(facts));
  }
  return all;
}

Result<> Machine::RemoveFd(int64_t id, std::optional<int> fd) {
  return impl_->opener->fd_sets().Remove(id, fd);
}

}  // namespace nandu

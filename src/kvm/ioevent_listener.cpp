#include "kvm/ioevent_listener.h"

#include <algorithm>
#include <errno.h>
#include <sys/ioctl.h>

#include "base/log.h"
#include "base/trace.h"

namespace nandu {

bool KvmIoEventListener::Call(const FlatIoEvent& event, bool assign) {
  if (!vm_.has(KVM_CAP_IOEVENTFD) || (event.size == 0 && !vm_.has(KVM_CAP_IOEVENTFD_ANY_LENGTH))) {
    errno = EOPNOTSUPP;
    return false;
  }
  kvm_ioeventfd request{};
  request.addr = event.address;
  request.len = event.size;
  request.fd = event.fd;
  request.datamatch = event.match.value_or(0);
  request.flags = (event.match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0U) |
                  (bus_ == Bus::kPorts ? KVM_IOEVENTFD_FLAG_PIO : 0U) |
                  (assign ? 0U : KVM_IOEVENTFD_FLAG_DEASSIGN);
  return ioctl(vm_.fd(), KVM_IOEVENTFD, &request) == 0;
}

void KvmIoEventListener::NoteExitDriven(const FlatIoEvent& event) {
  const int error = errno;
  Trace(TraceEvent::kKvmDoorbellByExit, "{:#x}: {}", event.address, ErrnoText(error));
  if (exit_driven_.value() == 0 && error == ENOSPC) {
    Log(LogLevel::kWarning,
        "KVM has no room for more doorbells: some queues are kicked by exits, which is slower; use fewer "
        "queues");
  }
  exit_driven_.Add();
}

void KvmIoEventListener::Commit(const FlatView* /*from*/, const FlatView& to) {
  const std::vector<FlatIoEvent>& wanted = to.events();
  const auto has = [](const std::vector<FlatIoEvent>& list, const FlatIoEvent& event) {
    return std::find(list.begin(), list.end(), event) != list.end();
  };
  // Removals first: the place may be taken by another eventfd.
  std::erase_if(active_, [&](const FlatIoEvent& event) {
    if (has(wanted, event)) {
      return false;
    }
    if (!Call(event, false)) {
      Log(LogLevel::kWarning, "KVM_IOEVENTFD: removing {:#x}: {}", event.address, ErrnoText(errno));
    }
    return true;
  });
  for (const FlatIoEvent& event : wanted) {
    if (has(active_, event)) {
      continue;
    }
    if (Call(event, true)) {
      active_.push_back(event);
    } else {
      NoteExitDriven(event);
    }
  }
}

}  // namespace nandu

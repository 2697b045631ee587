#include "base/lost_memory.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace nandu {
namespace {

// Read by a signal handler: a plain table of atomics. `begin` is set last and cleared first.
struct Range {
  std::atomic<uintptr_t> begin{0};  // 0: free, 1: being filled in
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> page_bytes{0};
};
std::array<Range, LostMemory::kMaxRanges> ranges;
std::atomic<uint64_t> losses{0};
std::atomic<uintptr_t> newest_loss{0};
std::atomic<int> loss_event{-1};
std::atomic<uintptr_t> found_broken{0};
thread_local volatile uint64_t met = 0;
// Written by the handler while its thread is in KVM_RUN.
struct GuestRun {
  volatile bool inside = false;
  volatile bool used = false;
  volatile uintptr_t broken = 0;
};
thread_local GuestRun guest_run;

constexpr uintptr_t kBeingFilled = 1;

const Range* Find(uintptr_t address) {
  for (const Range& range : ranges) {
    const uintptr_t begin = range.begin.load(std::memory_order_acquire);
    if (begin > kBeingFilled && address >= begin &&
        address - begin < range.bytes.load(std::memory_order_relaxed)) {
      return &range;
    }
  }
  return nullptr;
}

// Puts zeroes where `address` lies; false: it is no memory of ours.
bool Replace(uintptr_t address) {
  if (const Range* const found = Find(address)) {
    const Range& range = *found;
    const uint64_t page = range.page_bytes.load(std::memory_order_relaxed);
    void* const at = reinterpret_cast<void*>(address / page * page);  // NOLINT: an address from the kernel
    return mmap(at, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at;
  }
  return false;
}

void TellEvent() {
  const int event = loss_event.load(std::memory_order_relaxed);
  const uint64_t one = 1;
  // Full: it is signalled already.
  [[maybe_unused]] const ssize_t written = event < 0 ? 0 : write(event, &one, sizeof(one));
}

// What the hardware found broken and this thread can go on without. False: it stands before the access.
bool NotePoison(uintptr_t address, int code) {
  if (code == BUS_MCEERR_AR && !guest_run.inside) {
    return false;
  }
  if (Find(address) == nullptr) {
    return code == BUS_MCEERR_AO;  // a warning of what is not the guest's
  }
  if (guest_run.inside) {
    // What was used is more than what was only found.
    if (guest_run.broken == 0 || code == BUS_MCEERR_AR) {
      guest_run.used = code == BUS_MCEERR_AR;
      guest_run.broken = address;
    }
    return true;
  }
  found_broken.store(address, std::memory_order_release);
  TellEvent();
  return true;
}

// Only what signal-safety(7) allows; mmap is a bare system call.
void OnSigbus(int signal, siginfo_t* info, void* /*context*/) {
  const int saved_errno = errno;
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  if ((info->si_code == BUS_MCEERR_AO || info->si_code == BUS_MCEERR_AR) &&
      NotePoison(address, info->si_code)) {
    errno = saved_errno;
    return;
  }
  if (!Replace(address)) {
    struct sigaction usual {};
    usual.sa_handler = SIG_DFL;
    sigaction(signal, &usual, nullptr);
    return;  // and the access is made again
  }
  met = met + 1;
  newest_loss.store(address, std::memory_order_relaxed);
  losses.fetch_add(1, std::memory_order_release);
  TellEvent();
  errno = saved_errno;
}

}  // namespace

void LostMemory::EnterGuest() {
  guest_run.broken = 0;
  guest_run.inside = true;
}

std::optional<PoisonedMemory> LostMemory::LeaveGuest() {
  guest_run.inside = false;
  if (guest_run.broken == 0) {
    return std::nullopt;
  }
  return PoisonedMemory{reinterpret_cast<const void*>(guest_run.broken),  // NOLINT: as given
                        guest_run.used ? PoisonedMemory::Kind::kUsed : PoisonedMemory::Kind::kFound};
}

const void* LostMemory::TakeFound() {
  return reinterpret_cast<const void*>(
      found_broken.exchange(0, std::memory_order_acquire));  // NOLINT: as given
}

Result<> LostMemory::HearEarly() {
  if (prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0) != 0 && errno != EINVAL) {
    return FailErrno(errno, "PR_MCE_KILL");
  }
  return {};
}

bool LostMemory::Renew(const void* at) { return Replace(reinterpret_cast<uintptr_t>(at)); }

Result<> LostMemory::Install(int event_fd) {
  loss_event.store(event_fd, std::memory_order_relaxed);
  struct sigaction action {};
  action.sa_sigaction = OnSigbus;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  if (sigaction(SIGBUS, &action, nullptr) != 0) {
    return FailErrno(errno, "cannot take SIGBUS over");
  }
  return {};
}

void LostMemory::Cover(const void* begin, uint64_t bytes, uint64_t page_bytes) {
  for (Range& range : ranges) {
    uintptr_t none = 0;
    if (range.begin.compare_exchange_strong(none, kBeingFilled, std::memory_order_relaxed)) {
      range.bytes.store(bytes, std::memory_order_relaxed);
      range.page_bytes.store(page_bytes, std::memory_order_relaxed);
      range.begin.store(reinterpret_cast<uintptr_t>(begin), std::memory_order_release);
      return;
    }
  }
}

void LostMemory::Uncover(const void* begin) {
  for (Range& range : ranges) {
    if (range.begin.load(std::memory_order_relaxed) == reinterpret_cast<uintptr_t>(begin)) {
      range.begin.store(0, std::memory_order_relaxed);
      return;
    }
  }
}

uint64_t LostMemory::MetByThisThread() { return met; }
uint64_t LostMemory::count() { return losses.load(std::memory_order_acquire); }
const void* LostMemory::newest() {
  return reinterpret_cast<const void*>(newest_loss.load(std::memory_order_relaxed));  // NOLINT: as given
}

}  // namespace nandu

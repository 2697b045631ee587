// Pages of guest memory that the host has lost: a backing file that somebody truncated, huge pages that ran
// out, a page the hardware found poisoned. Whoever touches one gets SIGBUS; here it goes on with a page of
// zeroes in its place, knows that it did, and the VM is told to stop. sigaction(2), BUS_ADRERR and
// BUS_MCEERR.
//
// A page that is broken while a vCPU runs is the guest's to hear of, and stays broken until a reset renews
// it: it is kept for who called KVM_RUN (EnterGuest), and what nobody has touched yet for who asks
// (TakeFound).
//
// What the kernel touches for us (io_uring, vhost) fails with EFAULT instead, and KVM_RUN fails with it: no
// vCPU ever goes on with a truncated file's zeroes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/result.h"

namespace nandu {

struct PoisonedMemory {
  enum class Kind : uint8_t { kUsed, kFound };  // BUS_MCEERR_AR, BUS_MCEERR_AO
  const void* at = nullptr;
  Kind kind = Kind::kUsed;
};

class LostMemory {
 public:
  // Takes SIGBUS over, process-wide and once. Each loss is counted on `event_fd` (an eventfd that is never
  // closed; -1: on none). A SIGBUS that is nobody's memory keeps its default action.
  static Result<> Install(int event_fd);
  // Memory whose loss is survived; in pages of that size. Any thread; at most kMaxRanges at a time, further
  // ones are not covered.
  static constexpr size_t kMaxRanges = 512;
  static void Cover(const void* begin, uint64_t bytes, uint64_t page_bytes);
  static void Uncover(const void* begin);

  // How many pages this thread has found lost: a copy between two equal answers met none.
  static uint64_t MetByThisThread();
  // Around KVM_RUN: what this thread met in between.
  static void EnterGuest();
  static std::optional<PoisonedMemory> LeaveGuest();
  // Signalled on `event_fd` as well: a broken page that nobody used, once; null: none.
  static const void* TakeFound();
  // A thread that hears of broken pages early, for all of the process. prctl(2), PR_MCE_KILL_EARLY.
  static Result<> HearEarly();
  // Zeroes in the place of the page at `at`; nobody uses it meanwhile. False: it is no memory of ours.
  static bool Renew(const void* at);

  // Of all threads, and where the newest was met.
  static uint64_t count();
  static const void* newest();
};

}  // namespace nandu

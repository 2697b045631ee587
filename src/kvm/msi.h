// Message-signalled interrupts: an eventfd, an irqfd and a route each. Where those run out the message is
// signalled by an ioctl (counted; told once, and traced).
#pragma once

#include <memory>
#include <string_view>

#include <nandu/irq.h>

#include "base/counter.h"
#include "kvm/irq_router.h"

namespace nandu {

struct MsiCounters {
  Counter without_irqfd;  // vectors that have no eventfd or route, or whose irqfd KVM refused
  Counter signalled;      // sent by KVM_SIGNAL_MSI for want of a route or an irqfd
  Counter unset;          // notified before the guest gave a message: dropped
  Counter failed;         // KVM took neither
  void NoteWithoutIrqFd(std::string_view why);
};

class KvmMsiAllocator final : public MsiAllocator {
 public:
  explicit KvmMsiAllocator(KvmIrqRouter& router) : router_(router) {}
  // Costs one eventfd; the route and the irqfd are made with the first message, so an unused vector costs KVM
  // nothing.
  Result<std::unique_ptr<MsiVector>> Allocate() override;
  const MsiCounters& counters() const { return counters_; }

 private:
  KvmIrqRouter& router_;
  MsiCounters counters_;
};

}  // namespace nandu

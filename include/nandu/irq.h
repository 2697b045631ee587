// Interrupts as devices raise them. KVM's irqfds and routes stand behind these, so no device test needs /dev/kvm.
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"

namespace nandu {

// A level line: ISA, INTx, SCI. A leaf call, any thread; setting the level it has is free.
class IrqLine {
 public:
  IrqLine() = default;
  IrqLine(const IrqLine&) = delete;
  IrqLine& operator=(const IrqLine&) = delete;
  virtual ~IrqLine() = default;
  virtual void Set(bool level) = 0;
};

struct MsiMessage {
  uint64_t address = 0;
  uint32_t data = 0;
  bool operator==(const MsiMessage&) const = default;
};

// One message-signalled interrupt: a route and an irqfd, or a signalled MSI where those ran out (counted).
class MsiVector {
 public:
  MsiVector() = default;
  MsiVector(const MsiVector&) = delete;
  MsiVector& operator=(const MsiVector&) = delete;
  virtual ~MsiVector() = default;

  virtual void SetMessage(const MsiMessage& message) = 0;  // control or vCPU thread
  virtual void Notify() = 0;                               // any thread; the owner of the vector handles masking
  virtual int fd() const = 0;                              // eventfd that notifies when written (vhost), -1 when signalled
};

class MsiAllocator {
 public:
  MsiAllocator() = default;
  MsiAllocator(const MsiAllocator&) = delete;
  MsiAllocator& operator=(const MsiAllocator&) = delete;
  virtual ~MsiAllocator() = default;
  virtual Result<std::unique_ptr<MsiVector>> Allocate() = 0;
};

}  // namespace nandu

// Level interrupt lines: a pin of the in-kernel controllers, and the wired-or of several sources on one pin.
// Any thread; leaf calls.
#pragma once

#include <cstdint>
#include <memory>

#include <nandu/irq.h>

#include "base/counter.h"
#include "base/thread_annotations.h"
#include "kvm/kvm_vm.h"

namespace nandu {

// One GSI (see KvmIrqRouter).
class KvmIrqLine final : public IrqLine {
 public:
  KvmIrqLine(KvmVm& vm, uint32_t gsi) : vm_(vm), gsi_(gsi) {}
  void Set(bool level) override;
  // Tells KVM again what the level is: after the controllers' state was loaded or reset.
  void Redrive();

 private:
  void SendLocked() NANDU_TA(requires_capability(mutex_));
  KvmVm& vm_;
  const uint32_t gsi_;
  Mutex mutex_;
  bool level_ NANDU_TA(guarded_by(mutex_)) = false;
};

// Several devices on one pin: high while any of them is. The line outlives its sources; a source that goes
// away is low.
class SharedIrqLine {
 public:
  explicit SharedIrqLine(IrqLine& out);
  std::unique_ptr<IrqLine> AddSource();

 private:
  struct Sum {
    explicit Sum(IrqLine& line) : out(line) {}
    void Change(bool raise);
    Mutex mutex;
    unsigned raised NANDU_TA(guarded_by(mutex)) = 0;
    IrqLine& out;
  };
  class Source;
  const std::shared_ptr<Sum> sum_;
};

}  // namespace nandu

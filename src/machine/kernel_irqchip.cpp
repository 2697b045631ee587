// The controllers in the kernel: 8259s, IOAPIC and 8254 as KVM has them, reached by KVM_IRQ_LINE.
#include "base/log.h"
#include "kvm/irq_line.h"
#include "kvm/irqchip_state.h"
#include "machine/irqchip.h"

namespace nandu {
namespace {

class KernelIrqchip final : public Irqchip {
 public:
  explicit KernelIrqchip(KvmVm& vm) : vm_(vm) {
    for (unsigned gsi = 0; gsi < kGsis; ++gsi) {
      pins_.push_back(std::make_unique<Pin>(vm, gsi));
    }
  }

  std::unique_ptr<IrqLine> ClaimGsi(unsigned number) override { return pins_.at(number)->shared.AddSource(); }
  void SetHpetLegacy(bool on) override {
    if (const Result<> told = SetPitHpetLegacy(vm_, on); !told) {
      Log(LogLevel::kError, "HPET: {}", told.error().message);
    }
  }
  std::vector<Device*> devices() override { return {}; }

  Result<> Reset() override { return SetIrqchip(vm_, ResetIrqchip(true)); }
  void RedriveLines() override {
    for (const std::unique_ptr<Pin>& pin : pins_) {
      pin->line.Redrive();
    }
  }
  Result<> Save(const StateWriter& writer) const override {
    const IrqchipState state = TRY(GetIrqchip(vm_));
    writer.Put(state);
    return {};
  }
  Result<UniqueFunction<Result<>()>> PrepareLoad(const StateReader& reader) override {
    IrqchipState state = TRY(reader.Get<IrqchipState>());
    return UniqueFunction<Result<>()>([this, state] { return SetIrqchip(vm_, state); });
  }
  void Disconnect() override {}

 private:
  // One GSI and those who pull it.
  struct Pin {
    Pin(KvmVm& vm, unsigned gsi) : line(vm, gsi), shared(line) {}
    KvmIrqLine line;
    SharedIrqLine shared;
  };
  KvmVm& vm_;
  std::vector<std::unique_ptr<Pin>> pins_;
};

}  // namespace

std::unique_ptr<Irqchip> CreateKernelIrqchip(KvmVm& vm) { return std::make_unique<KernelIrqchip>(vm); }

}  // namespace nandu

// The controllers outside the kernel: our 8259s, IOAPIC and 8254 before KVM's local APICs. The 8259s' INTR
// goes to the first vCPU; the IOAPIC sends messages, and its pins are routes of KVM's, which reports the ends
// of level interrupts that are routed (Linux Documentation/virt/kvm/api.rst, KVM_CAP_SPLIT_IRQCHIP).
#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <functional>

#include "base/log.h"
#include "devices/legacy/i8254.h"
#include "devices/legacy/i8259.h"
#include "devices/legacy/ioapic.h"
#include "kvm/irq_line.h"
#include "machine/irqchip.h"

namespace nandu {
namespace {

// INTR: a vCPU looks at the level before it enters the guest, and is kicked when it rises.
class IntrPin final : public IrqLine {
 public:
  explicit IntrPin(std::function<void()> kick) : kick_(std::move(kick)) {}
  void Set(bool level) override {
    const MutexLock lock(mutex_);
    if (!level_.exchange(level, std::memory_order_seq_cst) && level && kick_) {
      kick_();
    }
  }
  bool level() const { return level_.load(std::memory_order_seq_cst); }
  void Disconnect() {
    const MutexLock lock(mutex_);
    kick_ = nullptr;
  }

 private:
  std::atomic<bool> level_{false};
  Mutex mutex_;
  std::function<void()> kick_ NANDU_TA(guarded_by(mutex_));
};

// Whether a local APIC has the vector in its IRR or ISR (Intel SDM volume 3, 11.8.4).
bool Holds(const kvm_lapic_state& lapic, uint8_t vector) {
  constexpr size_t kInService = 0x100, kRequested = 0x200;
  const size_t word = size_t{vector} / 32 * 16;
  uint32_t in_service = 0;
  uint32_t requested = 0;
  std::memcpy(&in_service, lapic.regs + kInService + word, sizeof(in_service));
  std::memcpy(&requested, lapic.regs + kRequested + word, sizeof(requested));
  return ((in_service | requested) >> vector % 32 & 1) != 0;
}

class SplitIrqchip final : public Irqchip, private IoApicOutput, private ExternalInterrupts {
 public:
  SplitIrqchip(KvmIrqRouter& router, VcpuSet& vcpus)
      : router_(router), vcpus_(vcpus), intr_([&vcpus] { vcpus.at(0).Kick(); }) {}

  Result<> Build(DeviceHost& host) {
    pic_ = TRY(I8259::Create(host, intr_));
    ioapic_ = TRY(IoApic::Create(host, *this));
    for (unsigned pin = 0; pin < kGsis; ++pin) {
      pins_[pin] = std::make_unique<Pin>(*ioapic_, pin);
    }
    for (unsigned gsi = 0; gsi < kGsis; ++gsi) {
      // The timer's GSI 0 shares pin 2 with the GSI of that number, and pin 0 has none.
      gsis_[gsi] = std::make_unique<Gsi>(*pic_, gsi, pins_[gsi == 0 ? 2 : gsi]->shared.AddSource());
    }
    pit_ = TRY(I8254::Create(host, ClaimGsi(0)));
    vcpus_.SetExternalInterrupts(this);
    return {};
  }

  std::unique_ptr<IrqLine> ClaimGsi(unsigned number) override { return gsis_.at(number)->shared.AddSource(); }
  void SetHpetLegacy(bool on) override { pit_->SetDisconnected(on); }
  std::vector<Device*> devices() override { return {pic_.get(), ioapic_.get(), pit_.get()}; }

  // They are devices: they keep the levels of their lines, and are reset and saved with the others.
  Result<> Reset() override { return {}; }
  void RedriveLines() override {}
  Result<> Save(const StateWriter& /*writer*/) const override { return {}; }
  Result<UniqueFunction<Result<>()>> PrepareLoad(const StateReader& /*reader*/) override {
    return UniqueFunction<Result<>()>([] { return Result<>(); });
  }
  void Disconnect() override { intr_.Disconnect(); }

 private:
  struct PinLine final : IrqLine {
    PinLine(IoApic& ioapic, unsigned number) : chip(ioapic), pin(number) {}
    void Set(bool level) override { chip.SetPin(pin, level); }
    IoApic& chip;
    const unsigned pin;
  };
  struct Pin {
    Pin(IoApic& ioapic, unsigned number) : line(ioapic, number), shared(line) {}
    PinLine line;
    SharedIrqLine shared;
  };
  struct GsiLine final : IrqLine {
    GsiLine(I8259& pic, unsigned number, std::unique_ptr<IrqLine> share)
        : chip(pic), gsi(number), pin(std::move(share)) {}
    void Set(bool level) override {
      if (gsi < I8259::kLines) {
        chip.SetLine(gsi, level);
      }
      pin->Set(level);
    }
    I8259& chip;
    const unsigned gsi;
    const std::unique_ptr<IrqLine> pin;
  };
  struct Gsi {
    Gsi(I8259& pic, unsigned number, std::unique_ptr<IrqLine> pin)
        : line(pic, number, std::move(pin)), shared(line) {}
    GsiLine line;
    SharedIrqLine shared;
  };

  // IoApicOutput.
  void SetRoute(unsigned pin, const std::optional<MsiMessage>& message) override {
    router_.SetPin(pin, message);
  }
  void Send(const MsiMessage& message) override {
    // A destination that is nobody's, as on hardware: the interrupt is lost.
    static_cast<void>(router_.Signal(message));
  }
  bool IsHeld(uint8_t vector) override {
    for (size_t index = 0; index < vcpus_.size(); ++index) {
      kvm_lapic_state lapic{};
      if (const Result<> got = vcpus_.at(index).kvm().Get(KVM_GET_LAPIC, &lapic, "KVM_GET_LAPIC"); !got) {
        Log(LogLevel::kWarning, "{}", got.error().message);
        return true;
      }
      if (Holds(lapic, vector)) {
        return true;
      }
    }
    return false;
  }

  // ExternalInterrupts.
  bool Pending() const override { return intr_.level(); }
  std::optional<uint8_t> Acknowledge() override { return pic_->Acknowledge(); }
  bool InService(uint8_t vector) const override { return pic_->InService(vector); }
  void EndOfInterrupt(uint8_t vector) override { ioapic_->EndOfInterrupt(vector); }

  KvmIrqRouter& router_;
  VcpuSet& vcpus_;
  IntrPin intr_;
  // In the order they are made; lines go before what they lead to.
  std::unique_ptr<I8259> pic_;
  std::unique_ptr<IoApic> ioapic_;
  std::array<std::unique_ptr<Pin>, kGsis> pins_;
  std::array<std::unique_ptr<Gsi>, kGsis> gsis_;
  std::unique_ptr<I8254> pit_;
};

}  // namespace

Result<std::unique_ptr<Irqchip>> CreateSplitIrqchip(DeviceHost& host, KvmIrqRouter& router, VcpuSet& vcpus) {
  auto irqchip = std::make_unique<SplitIrqchip>(router, vcpus);
  TRY(irqchip->Build(host));
  return std::unique_ptr<Irqchip>(std::move(irqchip));
}

}  // namespace nandu

#include "kvm/irqchip_state.h"

#include <algorithm>

#include "base/time.h"

namespace nandu {
namespace {

PicState FromKvm(const kvm_pic_state& from) {
  PicState to;
  to.last_irr = from.last_irr;
  to.irr = from.irr;
  to.imr = from.imr;
  to.isr = from.isr;
  to.priority_add = from.priority_add;
  to.irq_base = from.irq_base;
  to.read_reg_select = from.read_reg_select;
  to.poll = from.poll;
  to.special_mask = from.special_mask;
  to.init_state = from.init_state;
  to.auto_eoi = from.auto_eoi;
  to.rotate_on_auto_eoi = from.rotate_on_auto_eoi;
  to.special_fully_nested_mode = from.special_fully_nested_mode;
  to.init4 = from.init4;
  to.elcr = from.elcr;
  to.elcr_mask = from.elcr_mask;
  return to;
}

kvm_pic_state ToKvm(const PicState& from) {
  kvm_pic_state to{};
  to.last_irr = from.last_irr;
  to.irr = from.irr;
  to.imr = from.imr;
  to.isr = from.isr;
  to.priority_add = from.priority_add;
  to.irq_base = from.irq_base;
  to.read_reg_select = from.read_reg_select;
  to.poll = from.poll;
  to.special_mask = from.special_mask;
  to.init_state = from.init_state;
  to.auto_eoi = from.auto_eoi;
  to.rotate_on_auto_eoi = from.rotate_on_auto_eoi;
  to.special_fully_nested_mode = from.special_fully_nested_mode;
  to.init4 = from.init4;
  to.elcr = from.elcr;
  to.elcr_mask = from.elcr_mask;
  return to;
}

PitChannelState FromKvm(const kvm_pit_channel_state& from, int64_t now_ns) {
  PitChannelState to;
  to.count = from.count;
  to.latched_count = from.latched_count;
  to.count_latched = from.count_latched;
  to.status_latched = from.status_latched;
  to.status = from.status;
  to.read_state = from.read_state;
  to.write_state = from.write_state;
  to.write_latch = from.write_latch;
  to.rw_mode = from.rw_mode;
  to.mode = from.mode;
  to.bcd = from.bcd;
  to.gate = from.gate;
  to.loaded_ns_ago = now_ns - from.count_load_time;
  return to;
}

kvm_pit_channel_state ToKvm(const PitChannelState& from, int64_t now_ns) {
  kvm_pit_channel_state to{};
  to.count = from.count;
  to.latched_count = from.latched_count;
  to.count_latched = from.count_latched;
  to.status_latched = from.status_latched;
  to.status = from.status;
  to.read_state = from.read_state;
  to.write_state = from.write_state;
  to.write_latch = from.write_latch;
  to.rw_mode = from.rw_mode;
  to.mode = from.mode;
  to.bcd = from.bcd;
  to.gate = from.gate;
  // The kernel counts from its monotonic clock; a hostile age must not overflow.
  to.count_load_time = now_ns - std::clamp<int64_t>(from.loaded_ns_ago, 0, now_ns);
  return to;
}

}  // namespace

Result<IrqchipState> GetIrqchip(const KvmVm& vm) {
  IrqchipState state;
  for (uint32_t chip = KVM_IRQCHIP_PIC_MASTER; chip <= KVM_IRQCHIP_PIC_SLAVE; ++chip) {
    kvm_irqchip raw{};
    raw.chip_id = chip;
    TRY(vm.Call(KVM_GET_IRQCHIP, &raw, "KVM_GET_IRQCHIP (PIC)"));
    state.pic[chip] = FromKvm(raw.chip.pic);
  }
  kvm_irqchip raw{};
  raw.chip_id = KVM_IRQCHIP_IOAPIC;
  TRY(vm.Call(KVM_GET_IRQCHIP, &raw, "KVM_GET_IRQCHIP (IOAPIC)"));
  state.ioapic.base_address = raw.chip.ioapic.base_address;
  state.ioapic.ioregsel = raw.chip.ioapic.ioregsel;
  state.ioapic.id = raw.chip.ioapic.id;
  state.ioapic.irr = raw.chip.ioapic.irr;
  for (size_t pin = 0; pin < state.ioapic.redirection.size(); ++pin) {
    state.ioapic.redirection[pin] = raw.chip.ioapic.redirtbl[pin].bits;
  }
  kvm_pit_state2 pit{};
  if (vm.has(KVM_CAP_PIT_STATE2) && vm.Call(KVM_GET_PIT2, &pit, "KVM_GET_PIT2")) {
    PitState& to = state.pit.emplace();
    const int64_t now_ns = MonotonicNs();
    for (size_t i = 0; i < to.channels.size(); ++i) {
      to.channels[i] = FromKvm(pit.channels[i], now_ns);
    }
    to.hpet_legacy = (pit.flags & KVM_PIT_FLAGS_HPET_LEGACY) != 0;
    to.speaker_data_on = (pit.flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON) != 0;
  }
  return state;
}

Result<> SetIrqchip(KvmVm& vm, const IrqchipState& state) {
  for (uint32_t chip = KVM_IRQCHIP_PIC_MASTER; chip <= KVM_IRQCHIP_PIC_SLAVE; ++chip) {
    kvm_irqchip raw{};
    raw.chip_id = chip;
    raw.chip.pic = ToKvm(state.pic[chip]);
    TRY(vm.Call(KVM_SET_IRQCHIP, &raw, "KVM_SET_IRQCHIP (PIC)"));
  }
  kvm_irqchip raw{};
  raw.chip_id = KVM_IRQCHIP_IOAPIC;
  raw.chip.ioapic.base_address = state.ioapic.base_address;
  raw.chip.ioapic.ioregsel = state.ioapic.ioregsel;
  raw.chip.ioapic.id = state.ioapic.id;
  raw.chip.ioapic.irr = state.ioapic.irr;
  for (size_t pin = 0; pin < state.ioapic.redirection.size(); ++pin) {
    raw.chip.ioapic.redirtbl[pin].bits = state.ioapic.redirection[pin];
  }
  TRY(vm.Call(KVM_SET_IRQCHIP, &raw, "KVM_SET_IRQCHIP (IOAPIC)"));
  if (state.pit) {
    kvm_pit_state2 pit{};
    const int64_t now_ns = MonotonicNs();
    for (size_t i = 0; i < state.pit->channels.size(); ++i) {
      pit.channels[i] = ToKvm(state.pit->channels[i], now_ns);
    }
    pit.flags = (state.pit->hpet_legacy ? KVM_PIT_FLAGS_HPET_LEGACY : 0U) |
                (state.pit->speaker_data_on ? KVM_PIT_FLAGS_SPEAKER_DATA_ON : 0U);
    TRY(vm.Call(KVM_SET_PIT2, &pit, "KVM_SET_PIT2"));
  }
  return {};
}

IrqchipState ResetIrqchip(bool with_pit) {
  IrqchipState state;
  // Edge/level control: IRQ 0, 1, 2, 8 and 13 are always edge (82371AB, 2.5.2.3).
  state.pic[0].elcr_mask = 0xf8;
  state.pic[1].elcr_mask = 0xde;
  for (uint64_t& entry : state.ioapic.redirection) {
    entry = uint64_t{1} << 16;  // masked (82093AA, 3.2.4)
  }
  if (with_pit) {
    PitState& pit = state.pit.emplace();
    for (size_t i = 0; i < pit.channels.size(); ++i) {
      pit.channels[i].mode = 0xff;  // KVM: not programmed
      pit.channels[i].gate = i != 2 ? 1 : 0;
    }
  }
  return state;
}

Result<> SetPitHpetLegacy(KvmVm& vm, bool on) {
  kvm_pit_state2 pit{};
  TRY(vm.Call(KVM_GET_PIT2, &pit, "KVM_GET_PIT2"));
  pit.flags = (pit.flags & ~uint32_t{KVM_PIT_FLAGS_HPET_LEGACY}) | (on ? KVM_PIT_FLAGS_HPET_LEGACY : 0U);
  return vm.Call(KVM_SET_PIT2, &pit, "KVM_SET_PIT2");
}

}  // namespace nandu

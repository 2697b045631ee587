// What the in-kernel interrupt controllers, timer and clock hold, as plain structs for save, load and reset.
// Only while no vCPU runs. Specification: Linux Documentation/virt/kvm/api.rst, KVM_GET_IRQCHIP,
// KVM_GET_PIT2, KVM_GET_CLOCK; Intel 8259A and 82093AA data sheets.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/described.h"
#include "base/result.h"
#include "kvm/kvm_vm.h"

namespace nandu {

struct PicState {  // one 8259A
  uint8_t last_irr = 0;
  uint8_t irr = 0;
  uint8_t imr = 0;
  uint8_t isr = 0;
  uint8_t priority_add = 0;
  uint8_t irq_base = 0;
  uint8_t read_reg_select = 0;
  uint8_t poll = 0;
  uint8_t special_mask = 0;
  uint8_t init_state = 0;
  uint8_t auto_eoi = 0;
  uint8_t rotate_on_auto_eoi = 0;
  uint8_t special_fully_nested_mode = 0;
  uint8_t init4 = 0;
  uint8_t elcr = 0;
  uint8_t elcr_mask = 0;
};
BOOST_DESCRIBE_STRUCT(PicState, (),
                      (last_irr, irr, imr, isr, priority_add, irq_base, read_reg_select, poll, special_mask,
                       init_state, auto_eoi, rotate_on_auto_eoi, special_fully_nested_mode, init4, elcr,
                       elcr_mask))

struct IoApicState {
  uint64_t base_address = 0xfec00000;
  uint32_t ioregsel = 0;
  uint32_t id = 0;
  uint32_t irr = 0;
  std::array<uint64_t, KVM_IOAPIC_NUM_PINS> redirection{};
};
BOOST_DESCRIBE_STRUCT(IoApicState, (), (base_address, ioregsel, id, irr, redirection))

struct PitChannelState {
  uint32_t count = 0x10000;
  uint16_t latched_count = 0;
  uint8_t count_latched = 0;
  uint8_t status_latched = 0;
  uint8_t status = 0;
  uint8_t read_state = 0;
  uint8_t write_state = 0;
  uint8_t write_latch = 0;
  uint8_t rw_mode = 0;
  uint8_t mode = 0;
  uint8_t bcd = 0;
  uint8_t gate = 0;
  int64_t loaded_ns_ago = 0;  // when the count was loaded, before the state was taken
};
BOOST_DESCRIBE_STRUCT(PitChannelState, (),
                      (count, latched_count, count_latched, status_latched, status, read_state, write_state,
                       write_latch, rw_mode, mode, bcd, gate, loaded_ns_ago))

struct PitState {
  std::array<PitChannelState, 3> channels{};
  bool hpet_legacy = false;  // the HPET has taken IRQ 0 over
  bool speaker_data_on = false;
};
BOOST_DESCRIBE_STRUCT(PitState, (), (channels, hpet_legacy, speaker_data_on))

struct IrqchipState {
  std::array<PicState, 2> pic{};  // master, slave
  IoApicState ioapic;
  std::optional<PitState> pit;
};
BOOST_DESCRIBE_STRUCT(IrqchipState, (), (pic, ioapic, pit))

Result<IrqchipState> GetIrqchip(const KvmVm& vm);
Result<> SetIrqchip(KvmVm& vm, const IrqchipState& state);
// What they hold after power-on, for a system reset.
IrqchipState ResetIrqchip(bool with_pit);
// The HPET takes IRQ 0 from the timer, or gives it back (legacy replacement route).
Result<> SetPitHpetLegacy(KvmVm& vm, bool on);

// The guest's kvmclock.
struct GuestClockState {
  uint64_t ns = 0;
};
BOOST_DESCRIBE_STRUCT(GuestClockState, (), (ns))

}  // namespace nandu

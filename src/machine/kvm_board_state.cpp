// Saving and loading what KVM holds of a VM: the controllers, the clock and every vCPU.
#include "kvm/irqchip_state.h"
#include "machine/kvm_board.h"

namespace nandu {

Result<> KvmBoard::Save(const StateWriter& writer) const {
  TRY(irqchip_->Save(writer.Child("irqchip")));
  GuestClockState clock;
  clock.ns = frozen_clock_ns_ ? *frozen_clock_ns_ : TRY(vm_->GetClock());
  writer.Child("kvmclock").Put(clock);
  for (size_t index = 0; index < vcpus_->size(); ++index) {
    const VcpuState state = TRY(vcpus_->at(index).Save());
    writer.Child(Format("cpu{}", index)).Put(state);
  }
  return {};
}

Result<> KvmBoard::Load(const StateReader& reader) {
  // Everything is read and checked before KVM is told of anything.
  const UniqueFunction<Result<>()> load_irqchip = TRY(irqchip_->PrepareLoad(reader.Child("irqchip")));
  const GuestClockState clock = TRY(reader.Child("kvmclock").Get<GuestClockState>());
  std::vector<VcpuState> states;
  for (size_t index = 0; index < vcpus_->size(); ++index) {
    states.push_back(TRY(reader.Child(Format("cpu{}", index)).Get<VcpuState>()));
  }
  TRY(load_irqchip());
  for (size_t index = 0; index < states.size(); ++index) {
    TRY(vcpus_->at(index).Load(states[index], LoadKind::kFresh));
  }
  frozen_clock_ns_ = clock.ns;  // set when the vCPUs run
  irqchip_->RedriveLines();
  return {};
}

}  // namespace nandu

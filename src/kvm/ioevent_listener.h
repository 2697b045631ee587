// Makes KVM's ioeventfds follow the flat view of one address space. A write that finds none (KVM holds about
// 1000, or lacks the kind) leaves the guest and reaches the region's handler instead. Commit runs under the
// address space's commit lock, all vCPUs outside KVM_RUN. Specification: Linux
// Documentation/virt/kvm/api.rst, KVM_IOEVENTFD.
#pragma once

#include <vector>

#include "base/counter.h"
#include "kvm/kvm_vm.h"
#include "memory/flat_view.h"

namespace nandu {

class KvmIoEventListener final : public FlatViewListener {
 public:
  enum class Bus : uint8_t { kMemory, kPorts };
  KvmIoEventListener(KvmVm& vm, Bus bus) : vm_(vm), bus_(bus) {}

  void Commit(const FlatView* from, const FlatView& to) override;

  size_t active() const { return active_.size(); }  // committing thread
  const Counter& exit_driven() const { return exit_driven_; }

 private:
  void NoteExitDriven(const FlatIoEvent& event);  // counted; told once, and traced
  bool Call(const FlatIoEvent& event, bool assign);
  KvmVm& vm_;
  const Bus bus_;
  std::vector<FlatIoEvent> active_;
  Counter exit_driven_;
};

}  // namespace nandu

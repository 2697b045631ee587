// Makes KVM's memory slots follow the flat view of the memory address space: RAM and ROM become slots, all
// else leaves the guest. Commit runs under the address space's commit lock with every vCPU outside KVM_RUN;
// the dirty-log calls may come from any thread. Specification: Linux Documentation/virt/kvm/api.rst,
// KVM_SET_USER_MEMORY_REGION, KVM_GET_DIRTY_LOG, KVM_CLEAR_DIRTY_LOG.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/counter.h"
#include "base/thread_annotations.h"
#include "kvm/kvm_vm.h"
#include "memory/flat_view.h"

namespace nandu {

struct KvmSlot {
  uint32_t id = 0;
  uint64_t base = 0;  // guest-physical; base, size and host address are multiples of a page
  uint64_t size = 0;
  bool readonly = false;
  bool logged = false;
  std::shared_ptr<RamBlock> block;  // stays mapped while KVM may write to it
  uint64_t block_offset = 0;
  bool SameAs(const KvmSlot& other) const;
};

class KvmMemoryListener final : public FlatViewListener {
 public:
  // One bit per page of the slot, lowest first.
  using DirtySink = std::function<void(const KvmSlot& slot, std::span<const uint64_t> bitmap)>;

  explicit KvmMemoryListener(KvmVm& vm) : vm_(vm) {}
  ~KvmMemoryListener() override = default;

  void Commit(const FlatView* from, const FlatView& to) override;

  // Logging of every writable slot, now and of those to come; with the log's manual protection where KVM has
  // it (the first bitmap is then all ones). `removed` gets the last bitmap of a slot that goes away
  // meanwhile, on the committing thread.
  Result<> StartDirtyLog(DirtySink removed);
  Result<> StopDirtyLog();
  // KVM's log is destructive without manual protection; with it, ClearDirtyLog protects again what was read.
  Result<> ReadDirtyLog(const DirtySink& sink);
  Result<> ClearDirtyLog(const KvmSlot& slot, uint64_t first_page, uint64_t pages,
                         std::span<const uint64_t> bitmap);
  bool manual_protect() const { return manual_protect_; }

  std::vector<KvmSlot> slots() const;
  // RAM that is no slot (parts of a page, or KVM had none left): the guest's accesses leave it. Pieces, not
  // bytes.
  const Counter& exit_driven() const { return exit_driven_; }

 private:
  std::vector<KvmSlot> Wanted(const FlatView& view);
  bool SetSlot(const KvmSlot& slot, bool present) NANDU_TA(requires_capability(mutex_));
  Result<std::vector<uint64_t>> FetchLog(const KvmSlot& slot) NANDU_TA(requires_capability(mutex_));
  Result<> SetLogging(bool on) NANDU_TA(requires_capability(mutex_));
  uint32_t TakeId() NANDU_TA(requires_capability(mutex_));

  KvmVm& vm_;
  Counter exit_driven_;
  bool manual_protect_ = false;
  mutable Mutex mutex_;
  std::vector<KvmSlot> slots_ NANDU_TA(guarded_by(mutex_));  // sorted by base
  std::vector<bool> ids_ NANDU_TA(guarded_by(mutex_));
  bool logging_ NANDU_TA(guarded_by(mutex_)) = false;
  DirtySink removed_ NANDU_TA(guarded_by(mutex_));
};

}  // namespace nandu

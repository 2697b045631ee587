// Guest memory as one PCI function may see it: the identity over the current memory, and empty while Bus
// Master Enable is 0. Devices hold this, never GuestMemory. Readers on any thread; SetMemory and SetEnabled
// on the control thread or a vCPU.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/thread_annotations.h"
#include "memory/guest_memory.h"

namespace nandu {

class DmaSpace {
 public:
  DmaSpace();  // disabled and empty
  explicit DmaSpace(std::shared_ptr<const GuestMemory>
                        memory);  // enabled: for tests and for devices that are no PCI function

  // Grows whenever what Current() answers may have changed: whoever caches a translation checks it at each
  // use.
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  // The memory now; holding it pins its pages. Never null: empty while disabled.
  std::shared_ptr<const GuestMemory> Current() const;

  bool Translate(uint64_t iova, uint64_t len, Access access, std::vector<iovec>* out) const;
  bool Read(uint64_t iova, void* out, uint64_t len) const;
  bool Write(uint64_t iova, const void* from, uint64_t len) const;

  void SetMemory(std::shared_ptr<const GuestMemory> memory);
  void SetEnabled(bool enabled);
  // Called after SetMemory changed what there is, on its thread: for who has handed memory to somebody else
  // (vhost). Null: nobody. A call that is on its way may still come.
  void SetListener(std::function<void()> listener);
  bool enabled() const;

 private:
  mutable Mutex mutex_;
  std::shared_ptr<const GuestMemory> memory_ NANDU_TA(guarded_by(mutex_));
  const std::shared_ptr<const GuestMemory> nothing_;
  bool enabled_ NANDU_TA(guarded_by(mutex_)) = false;
  std::shared_ptr<std::function<void()>> listener_ NANDU_TA(guarded_by(mutex_));
  std::atomic<uint64_t> generation_{1};
};

}  // namespace nandu

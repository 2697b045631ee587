#include "memory/dma_space.h"

#include <utility>

namespace nandu {

DmaSpace::DmaSpace() : nothing_(std::make_shared<const GuestMemory>(std::vector<RamRange>{})) {
  memory_ = nothing_;
}

DmaSpace::DmaSpace(std::shared_ptr<const GuestMemory> memory) : DmaSpace() {
  const MutexLock lock(mutex_);
  memory_ = std::move(memory);
  enabled_ = true;
}

std::shared_ptr<const GuestMemory> DmaSpace::Current() const {
  const MutexLock lock(mutex_);
  return enabled_ ? memory_ : nothing_;
}

bool DmaSpace::Translate(uint64_t iova, uint64_t len, Access access, std::vector<iovec>* out) const {
  return Current()->ToIovecs(Gpa{iova}, len, access, out);
}

bool DmaSpace::Read(uint64_t iova, void* out, uint64_t len) const {
  return Current()->Read(Gpa{iova}, out, len);
}

bool DmaSpace::Write(uint64_t iova, const void* from, uint64_t len) const {
  return Current()->Write(Gpa{iova}, from, len);
}

void DmaSpace::SetMemory(std::shared_ptr<const GuestMemory> memory) {
  std::shared_ptr<std::function<void()>> listener;
  {
    const MutexLock lock(mutex_);
    if (memory_ == memory) {
      return;
    }
    memory_ = memory ? std::move(memory) : nothing_;
    generation_.fetch_add(1, std::memory_order_release);
    listener = listener_;
  }
  if (listener) {
    (*listener)();
  }
}

void DmaSpace::SetListener(std::function<void()> listener) {
  const MutexLock lock(mutex_);
  listener_ = listener ? std::make_shared<std::function<void()>>(std::move(listener)) : nullptr;
}

void DmaSpace::SetEnabled(bool enabled) {
  const MutexLock lock(mutex_);
  if (enabled_ == enabled) {
    return;
  }
  enabled_ = enabled;
  generation_.fetch_add(1, std::memory_order_release);
}

bool DmaSpace::enabled() const {
  const MutexLock lock(mutex_);
  return enabled_;
}

}  // namespace nandu

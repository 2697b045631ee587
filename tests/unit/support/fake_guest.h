// Guest RAM as a driver in the guest sees it: allocates, loads and stores by guest-physical address.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "memory/dma_space.h"
#include "support/fake_memory.h"

namespace nandu {

class FakeGuest {
 public:
  static constexpr uint64_t kFirst = 0x10000;  // nothing a test allocates lies at 0

  explicit FakeGuest(uint64_t size_bytes = uint64_t{16} << 20)
      : size_bytes_(size_bytes), memory_(TestMemory(size_bytes)), dma_(memory_) {}

  uint64_t size_bytes() const { return size_bytes_; }
  uint64_t used_bytes() const { return next_; }
  const std::shared_ptr<const GuestMemory>& memory() const { return memory_; }
  DmaSpace& dma() { return dma_; }  // one that is always enabled; a PCI function has its own

  uint64_t Allocate(uint64_t bytes, uint64_t alignment = 16) {
    next_ = (next_ + alignment - 1) / alignment * alignment;
    const uint64_t at = next_;
    next_ += bytes;
    if (next_ > size_bytes_) {
      throw std::runtime_error("the fake guest's memory is used up");
    }
    return at;
  }
  uint64_t Put(std::string_view text) {
    const uint64_t at = Allocate(text.size());
    std::memcpy(Host(at, text.size()), text.data(), text.size());
    return at;
  }
  std::string Text(uint64_t at, uint64_t bytes) const {
    return std::string(reinterpret_cast<const char*>(Host(at, bytes)), bytes);
  }
  std::byte* Host(uint64_t at, uint64_t bytes) const {
    std::byte* const host = memory_->HostPointer(Gpa{at}, bytes, Access::kWrite);
    if (host == nullptr) {
      throw std::runtime_error("not in the fake guest's memory");
    }
    return host;
  }

  // As a CPU does: whole and in order.
  template <class T>
  T Load(uint64_t at) const {
    return __atomic_load_n(reinterpret_cast<const T*>(Host(at, sizeof(T))), __ATOMIC_ACQUIRE);
  }
  template <class T>
  void Store(uint64_t at, T value) {
    __atomic_store_n(reinterpret_cast<T*>(Host(at, sizeof(T))), value, __ATOMIC_RELEASE);
  }

 private:
  const uint64_t size_bytes_;
  const std::shared_ptr<const GuestMemory> memory_;
  DmaSpace dma_;
  uint64_t next_ = kFirst;
};

}  // namespace nandu

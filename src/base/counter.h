// A statistics counter: any thread adds, any thread reads, no order promised.
#pragma once

#include <atomic>
#include <cstdint>

namespace nandu {

class Counter {
 public:
  void Add(uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

}  // namespace nandu

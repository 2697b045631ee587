// What keeps vCPUs out of KVM_RUN while memory slots change. Shared by the vCPUs of one VM and their VcpuSet.
#pragma once

#include <atomic>
#include <cstdint>

namespace nandu {

class VcpuGate {
 public:
  bool closed() const { return closed_.load(std::memory_order_seq_cst) != 0; }
  void Close() { closed_.fetch_add(1, std::memory_order_seq_cst); }
  void Open() {
    if (closed_.fetch_sub(1, std::memory_order_seq_cst) == 1) {
      closed_.notify_all();
    }
  }
  void WaitOpen() const {
    while (const uint32_t now = closed_.load(std::memory_order_seq_cst)) {
      closed_.wait(now);
    }
  }

 private:
  std::atomic<uint32_t> closed_{0};
};

}  // namespace nandu

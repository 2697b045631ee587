// What a PS/2 device and its controller share: a bounded queue of bytes for the host. IBM PS/2 Hardware
// Interface Technical Reference, "Keyboard" and "Mouse". Not a thread-safe class: the controller's lock
// guards its devices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace nandu {

inline constexpr uint8_t kPs2Acknowledge = 0xfa;
inline constexpr uint8_t kPs2Resend = 0xfe;
inline constexpr uint8_t kPs2SelfTestPassed = 0xaa;

class Ps2Queue {
 public:
  static constexpr size_t kMostBytes = 16;

  // All of an answer or nothing of it. A device answers after its host read the last answer, so only a host
  // that does not read fills it.
  bool Push(std::initializer_list<uint8_t> bytes) {
    if (bytes.size() > kMostBytes - bytes_.size()) {
      return false;
    }
    bytes_.insert(bytes_.end(), bytes);
    return true;
  }
  bool empty() const { return bytes_.empty(); }
  uint8_t Pop() {
    const uint8_t byte = bytes_.front();
    bytes_.erase(bytes_.begin());
    return byte;
  }
  void Clear() { bytes_.clear(); }
  const std::vector<uint8_t>& bytes() const { return bytes_; }
  void SetBytes(std::vector<uint8_t> bytes) { bytes_ = std::move(bytes); }

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace nandu

// A fuzzer's bytes, taken one after the other; zeroes when they are used up.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nandu {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), left_(size) {}
  bool empty() const { return left_ == 0; }
  uint8_t Byte() {
    if (left_ == 0) {
      return 0;
    }
    --left_;
    return *data_++;
  }
  uint32_t Word() { return Byte() | static_cast<uint32_t>(Byte()) << 8; }
  std::string_view Text(size_t length) {
    length = std::min(length, left_);
    const std::string_view text(reinterpret_cast<const char*>(data_), length);
    data_ += length;
    left_ -= length;
    return text;
  }

 private:
  const uint8_t* data_;
  size_t left_;
};

}  // namespace nandu

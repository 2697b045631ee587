// Appends little-endian fields to a byte vector: tables whose fields are written once, in order.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace nandu {

class ByteWriter {
 public:
  ByteWriter& U8(uint64_t value) { return Put(value, 1); }
  ByteWriter& U16(uint64_t value) { return Put(value, 2); }
  ByteWriter& U32(uint64_t value) { return Put(value, 4); }
  ByteWriter& U64(uint64_t value) { return Put(value, 8); }
  // Exactly `bytes` characters, padded with zeroes.
  ByteWriter& Text(std::string_view text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
      bytes_.push_back(static_cast<uint8_t>(i < text.size() ? text[i] : '\0'));
    }
    return *this;
  }
  ByteWriter& Zeroes(size_t count) {
    bytes_.resize(bytes_.size() + count);
    return *this;
  }
  ByteWriter& Bytes(const std::vector<uint8_t>& more) {
    bytes_.insert(bytes_.end(), more.begin(), more.end());
    return *this;
  }
  size_t size() const { return bytes_.size(); }
  std::vector<uint8_t>& bytes() { return bytes_; }
  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  ByteWriter& Put(uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++) {
      bytes_.push_back(static_cast<uint8_t>(value >> (8 * i)));
    }
    return *this;
  }
  std::vector<uint8_t> bytes_;
};

// The byte that makes `bytes` add up to zero.
inline uint8_t ChecksumOf(const uint8_t* bytes, size_t count) {
  unsigned sum = 0;
  for (size_t i = 0; i < count; i++) {
    sum += bytes[i];
  }
  return static_cast<uint8_t>(0x100 - (sum & 0xff));
}

}  // namespace nandu

// Numbers in the byte orders of disks: SCSI and MMC are big-endian, ATA and AHCI little-endian. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nandu {

inline uint16_t Be16(const uint8_t* at) { return static_cast<uint16_t>(at[0] << 8 | at[1]); }
inline uint32_t Be24(const uint8_t* at) { return uint32_t{at[0]} << 16 | uint32_t{at[1]} << 8 | at[2]; }
inline uint32_t Be32(const uint8_t* at) { return uint32_t{at[0]} << 24 | Be24(at + 1); }
inline uint64_t Be64(const uint8_t* at) { return uint64_t{Be32(at)} << 32 | Be32(at + 4); }

// The lowest `bytes` bytes of `value`, the highest of them first.
inline void PutBe(uint8_t* at, uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i) {
    at[i] = static_cast<uint8_t>(value >> (8 * (bytes - 1 - i)));
  }
}

inline uint32_t Le32(const uint8_t* at) {
  return at[0] | uint32_t{at[1]} << 8 | uint32_t{at[2]} << 16 | uint32_t{at[3]} << 24;
}
inline uint64_t Le64(const uint8_t* at) { return Le32(at) | uint64_t{Le32(at + 4)} << 32; }
inline void PutLe16(uint8_t* at, unsigned value) {
  at[0] = static_cast<uint8_t>(value);
  at[1] = static_cast<uint8_t>(value >> 8);
}

}  // namespace nandu

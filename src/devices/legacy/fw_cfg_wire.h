// What fw_cfg's bytes mean: QEMU, docs/specs/fw_cfg.rst. Big-endian, unless an item says otherwise.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace nandu::fw_cfg {

// Selectors.
inline constexpr uint16_t kSignature = 0x00;
inline constexpr uint16_t kId = 0x01;
inline constexpr uint16_t kUuid = 0x02;
inline constexpr uint16_t kRamSize = 0x03;
inline constexpr uint16_t kNoGraphic = 0x04;
inline constexpr uint16_t kCpus = 0x05;
inline constexpr uint16_t kKernelAddress = 0x07;
inline constexpr uint16_t kKernelSize = 0x08;
inline constexpr uint16_t kInitrdAddress = 0x0a;
inline constexpr uint16_t kInitrdSize = 0x0b;
inline constexpr uint16_t kNuma = 0x0d;
inline constexpr uint16_t kBootMenu = 0x0e;
inline constexpr uint16_t kMaxCpus = 0x0f;
inline constexpr uint16_t kKernelData = 0x11;
inline constexpr uint16_t kInitrdData = 0x12;
inline constexpr uint16_t kCommandLineAddress = 0x13;
inline constexpr uint16_t kCommandLineSize = 0x14;
inline constexpr uint16_t kCommandLineData = 0x15;
inline constexpr uint16_t kSetupAddress = 0x16;
inline constexpr uint16_t kSetupSize = 0x17;
inline constexpr uint16_t kSetupData = 0x18;
inline constexpr uint16_t kDirectory = 0x19;
inline constexpr uint16_t kWriteChannel = 0x4000;  // ignored in a selector
inline constexpr uint16_t kIrq0Override = 0x8002;
inline constexpr uint16_t kHpet = 0x8004;

inline constexpr uint32_t kIdTraditional = 1;
inline constexpr uint32_t kIdDma = 2;
inline constexpr std::array<uint8_t, 8> kDmaSignature = {'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G'};

// FWCfgDmaAccess: control, length, address.
inline constexpr uint64_t kDmaDescriptorBytes = 16;
inline constexpr uint32_t kDmaError = 1;
inline constexpr uint32_t kDmaRead = 2;
inline constexpr uint32_t kDmaSkip = 4;
inline constexpr uint32_t kDmaSelect = 8;
inline constexpr uint32_t kDmaWrite = 16;

inline uint64_t BigEndian(const uint8_t* at, unsigned bytes) {
  uint64_t value = 0;
  for (unsigned i = 0; i < bytes; i++) {
    value = value << 8 | at[i];
  }
  return value;
}

// FWCfgFiles: a count, and for each file size, selector, two reserved bytes and 56 bytes of name.
class DirectoryWriter {
 public:
  explicit DirectoryWriter(size_t count) { Put(count, 4); }
  void Add(std::string_view name, uint16_t selector, uint32_t size) {
    constexpr size_t kNameBytes = 56;
    Put(size, 4);
    Put(selector, 2);
    Put(0, 2);
    bytes_.insert(bytes_.end(), name.begin(), name.end());
    bytes_.resize(bytes_.size() + kNameBytes - name.size());
  }
  std::vector<uint8_t> Take() { return std::move(bytes_); }

 private:
  void Put(uint64_t value, unsigned bytes) {
    for (unsigned i = bytes; i-- > 0;) {
      bytes_.push_back(static_cast<uint8_t>(value >> (8 * i)));
    }
  }
  std::vector<uint8_t> bytes_;
};

}  // namespace nandu::fw_cfg

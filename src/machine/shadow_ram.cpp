#include "machine/shadow_ram.h"

#include <algorithm>

namespace nandu {

namespace {

struct Segment {
  uint64_t base;
  uint64_t bytes;
  unsigned reg;
  unsigned shift;
};

constexpr uint64_t kSmall = 0x4000;
constexpr uint8_t kReadEnable = 1;
constexpr uint8_t kWriteEnable = 2;

// Twelve of 16 KiB, two in a register, and the last 64 KiB in the first register.
constexpr Segment SegmentAt(size_t index) {
  if (index == 12) {
    return {0xf0000, 0x10000, 0, 4};
  }
  return {ShadowRam::kBase + index * kSmall, kSmall, static_cast<unsigned>(1 + index / 2),
          index % 2 == 0 ? 0U : 4U};
}

}  // namespace

Result<> ShadowRam::MapRam(AddressSpace& memory, const std::shared_ptr<RamBlock>& block, uint64_t offset,
                           uint64_t base, uint64_t bytes, std::vector<Mapping>* fixed) {
  const uint64_t end = base + bytes;
  const auto map = [&](uint64_t from, uint64_t to, std::vector<Mapping>* into) -> Result<> {
    from = std::max(from, base);
    to = std::min(to, end);
    if (from < to) {
      into->push_back(
          TRY(memory.Map(from, Region::Ram(block, offset + (from - base), to - from), kPriority)));
    }
    return {};
  };
  TRY(map(base, kBase, fixed));
  for (size_t i = 0; i < kSegments; i++) {
    const Segment segment = SegmentAt(i);
    TRY(map(segment.base, segment.base + segment.bytes, &segments_.at(i)));
  }
  return map(kEnd, end, fixed);
}

void ShadowRam::Follow(const std::array<uint8_t, Q35HostBridge::kPamRegisters>& pam) {
  for (size_t i = 0; i < kSegments; i++) {
    const Segment segment = SegmentAt(i);
    const unsigned attributes = pam.at(segment.reg) >> segment.shift & 3U;
    // Written but not read is a mode for copying a ROM onto itself, which firmware here does from its copy
    // below 4 GiB; QEMU has it as disabled as well.
    for (Mapping& mapping : segments_.at(i)) {
      mapping.SetEnabled((attributes & kReadEnable) != 0);
      mapping.SetReadonly((attributes & kWriteEnable) == 0);
    }
  }
}

}  // namespace nandu

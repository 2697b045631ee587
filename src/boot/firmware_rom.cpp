#include "boot/firmware_rom.h"

#include <algorithm>

#include "boot/layout.h"

namespace nandu {
namespace {

constexpr uint64_t kUnitBytes = 64 * 1024;
constexpr uint64_t kMostBytes = 16 << 20;  // the chip select window of the ICH9 ends there
constexpr uint64_t kLowWindowBytes = 128 * 1024;
constexpr int kPriority = 1;         // over whatever is there
constexpr int kShadowPriority = -1;  // below RAM, which the host bridge's PAM registers hide or show

}  // namespace

Result<FirmwareRom> FirmwareRom::Open(const BootFile& file) {
  if (file.size() == 0 || file.size() % kUnitBytes != 0 || file.size() > kMostBytes) {
    return Fail(Errc::kInvalidArgument,
                "{}: has {} bytes; a firmware image must have a multiple of 64 KiB, 16 MiB at most",
                file.name(), file.size());
  }
  auto block = TRY(RamBlock::CreateAnonymous("pc.bios", file.size(), {.huge_pages = false}));
  TRY(file.Read(0, block->host(), file.size()));
  return FirmwareRom(std::move(block));
}

Result<Mapping> MapFirmwareShadow(AddressSpace& memory, std::span<const std::byte> flash) {
  const uint64_t bytes = std::min<uint64_t>(flash.size(), kLowWindowBytes);
  std::shared_ptr<RamBlock> copy = TRY(RamBlock::CreateAnonymous("isa-bios", bytes, {.huge_pages = false}));
  std::ranges::copy(flash.last(bytes), copy->host());
  return memory.Map(layout::kOneMiB - bytes, Region::Rom(std::move(copy), 0, bytes), kShadowPriority);
}

Result<std::vector<Mapping>> FirmwareRom::Map(AddressSpace& memory) const {
  const uint64_t size = block_->size();
  const uint64_t low = std::min(size, kLowWindowBytes);
  const AddressSpace::Transaction transaction(memory);
  std::vector<Mapping> mappings;
  mappings.push_back(TRY(memory.Map(layout::kFourGiB - size, Region::Rom(block_, 0, size), kPriority)));
  mappings.push_back(
      TRY(memory.Map(layout::kOneMiB - low, Region::Rom(block_, size - low, low), kShadowPriority)));
  return mappings;
}

}  // namespace nandu

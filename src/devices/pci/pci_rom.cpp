#include "devices/pci/pci_rom.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include <nandu/device.h>

#include "base/checked.h"

namespace nandu {

namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kLeastBytes = 2048;
constexpr uint64_t kMostBytes = 16 << 20;

}  // namespace

Result<std::shared_ptr<const PciRom>> LoadPciRom(DeviceHost& host, const std::string& device,
                                                 const PciDeviceOptions& options,
                                                 const std::string& own_file) {
  const std::string& file = options.romfile.value_or(own_file);
  if (options.romsize && !IsPowerOfTwo(*options.romsize)) {
    return Fail(Errc::kInvalidArgument, "romsize={} is no power of two; a BAR has no other size",
                *options.romsize);
  }
  if (file.empty()) {
    return std::shared_ptr<const PciRom>();
  }
  if (options.rombar == 0) {
    return Fail(Errc::kUnsupported,
                "rombar=0 with the ROM {} is not served: firmware finds a ROM in its BAR only; leave rombar "
                "out, or say romfile= for no ROM",
                file);
  }
  const std::vector<uint8_t> bytes = TRY(Prefix(host.ReadFirmwareFile(file), "romfile"));
  if (bytes.empty() || bytes.size() > kMostBytes) {
    return Fail(Errc::kInvalidArgument, "romfile={}: has {} bytes; an expansion ROM has 1 to 16 MiB", file,
                bytes.size());
  }
  auto rom = std::make_shared<PciRom>();
  rom->bar_bytes = std::max(std::bit_ceil(uint64_t{bytes.size()}), kLeastBytes);
  if (options.romsize) {
    if (*options.romsize < rom->bar_bytes || *options.romsize > kMostBytes) {
      return Fail(Errc::kInvalidArgument, "romsize={} cannot hold the {} bytes of {}; say {} at least",
                  *options.romsize, bytes.size(), file, rom->bar_bytes);
    }
    rom->bar_bytes = *options.romsize;
  }
  rom->image = TRY(
      RamBlock::CreateAnonymous(device + ".rom", AlignUp(rom->bar_bytes, kPageBytes), {.huge_pages = false}));
  // An erased chip reads as ones beyond what was written to it; QEMU's reads as zeroes, and so does this one.
  std::memcpy(rom->image->host(), bytes.data(), bytes.size());
  return std::shared_ptr<const PciRom>(std::move(rom));
}

}  // namespace nandu

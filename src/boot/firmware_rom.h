// `-bios FILE`: a ROM that ends at 4 GiB, whose last 128 KiB are seen below 1 MiB as well. The vCPU starts at
// its reset vector. Control thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "boot/boot_file.h"
#include "boot/boot_plan.h"
#include "memory/address_space.h"
#include "memory/ram_block.h"

namespace nandu {

class FirmwareRom {
 public:
  // Fails unless the file's size is a multiple of 64 KiB, up to 16 MiB.
  static Result<FirmwareRom> Open(const BootFile& file);

  // The guest cannot write to it, so one mapping outlives every reset. Keep the mappings.
  Result<std::vector<Mapping>> Map(AddressSpace& memory) const;
  CpuEntry entry() const { return CpuEntry{}; }
  const std::shared_ptr<RamBlock>& block() const { return block_; }

 private:
  explicit FirmwareRom(std::shared_ptr<RamBlock> block) : block_(std::move(block)) {}
  std::shared_ptr<RamBlock> block_;
};

// A copy of the last 128 KiB of a flash, where a ROM's are seen: below 1 MiB, under RAM. Keep the mapping.
Result<Mapping> MapFirmwareShadow(AddressSpace& memory, std::span<const std::byte> flash);

}  // namespace nandu

// `-bios FILE`: a ROM that ends at 4 GiB, whose last 128 KiB are seen below 1 MiB as well. The vCPU starts at
// its reset vector. Control thread.
#pragma once

#include <memory>
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

}  // namespace nandu

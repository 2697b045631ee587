#include "memory/region.h"

#include <utility>

#include "base/check.h"

namespace nandu {

Region Region::Ram(std::shared_ptr<RamBlock> block, uint64_t block_offset, uint64_t size) {
  NANDU_CHECK(
      block != nullptr && size != 0 && block_offset <= block->size() && size <= block->size() - block_offset,
      "a RAM region lies within its block");
  Region region;
  region.kind_ = Kind::kRam;
  region.size_ = size;
  region.block_ = std::move(block);
  region.block_offset_ = block_offset;
  return region;
}

Region Region::Rom(std::shared_ptr<RamBlock> block, uint64_t block_offset, uint64_t size) {
  Region region = Ram(std::move(block), block_offset, size);
  region.readonly_ = true;
  return region;
}

Region Region::RomDevice(std::shared_ptr<RamBlock> block, uint64_t size, std::shared_ptr<IoHandler> handler) {
  NANDU_CHECK(handler != nullptr, "a ROM device has a handler");
  Region region = Rom(std::move(block), 0, size);
  region.handler_ = std::move(handler);
  return region;
}

Region Region::Io(std::shared_ptr<IoHandler> handler, uint64_t size, std::vector<IoEvent> events) {
  NANDU_CHECK(handler != nullptr && size != 0, "an I/O region has a handler and a size");
  Region region;
  region.kind_ = Kind::kIo;
  region.size_ = size;
  region.handler_ = std::move(handler);
  region.events_ = std::move(events);
  return region;
}

}  // namespace nandu

// What can be mapped into an address space.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <nandu/io_handler.h>

#include "memory/ram_block.h"

namespace nandu {

// A write at `offset` that signals an eventfd instead of leaving the guest (KVM_IOEVENTFD). Matching nothing:
// any value, any length when `size` is 0. The handler behind it serves writes where no ioeventfd can.
struct IoEvent {
  uint64_t offset = 0;            // from the region's start
  unsigned size = 0;              // 0, 1, 2, 4 or 8 bytes
  std::optional<uint64_t> match;  // only this value
  int fd = -1;                    // eventfd; stays open while the region is mapped
  bool operator==(const IoEvent&) const = default;
};

class Region {
 public:
  enum class Kind : uint8_t { kRam, kIo };

  static Region Ram(std::shared_ptr<RamBlock> block, uint64_t block_offset, uint64_t size);
  static Region Rom(std::shared_ptr<RamBlock> block, uint64_t block_offset,
                    uint64_t size);  // guest writes are dropped and counted
  // The block's first `size` bytes, which the guest reads; its writes go to the handler. A mapping of it can
  // be switched to the handler altogether (Mapping::SetRomMode).
  static Region RomDevice(std::shared_ptr<RamBlock> block, uint64_t size, std::shared_ptr<IoHandler> handler);
  static Region Io(std::shared_ptr<IoHandler> handler, uint64_t size, std::vector<IoEvent> events = {});

  Kind kind() const { return kind_; }
  uint64_t size() const { return size_; }
  bool readonly() const { return readonly_; }
  const std::shared_ptr<RamBlock>& block() const { return block_; }
  uint64_t block_offset() const { return block_offset_; }
  const std::shared_ptr<IoHandler>& handler() const { return handler_; }  // of I/O, and of a ROM device
  const std::vector<IoEvent>& events() const { return events_; }
  void set_events(std::vector<IoEvent> events) { events_ = std::move(events); }

 private:
  friend class AddressSpace;
  Region() = default;
  Kind kind_ = Kind::kIo;
  uint64_t size_ = 0;
  bool readonly_ = false;
  std::shared_ptr<RamBlock> block_;
  uint64_t block_offset_ = 0;
  std::shared_ptr<IoHandler> handler_;
  std::vector<IoEvent> events_;
};

}  // namespace nandu

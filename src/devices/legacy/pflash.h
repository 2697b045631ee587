// Flash that firmware runs from and keeps its variables in: a CFI chip below 4 GiB, backed by a block node.
// QEMU's cfi.pflash01 as pc-q35 has it; OVMF drives it (CfiFlash). Device functions: control thread; register
// accesses: any vCPU thread.
//
// The guest reads it as memory. A write leaves it, and while the chip answers with something else than
// memory, so does a read. What changed is written to the node when the command is over, and the vCPU waits.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_annotations.h"
#include "devices/legacy/cfi_flash.h"
#include "devices/legacy/flash_store.h"
#include "devices/legacy/legacy_device.h"
#include "memory/address_space.h"

namespace nandu {

class Pflash final : public LegacyDevice {
 public:
  static constexpr unsigned kChips = 2;
  static constexpr uint64_t kMostBytes = 8 << 20;  // of all chips together, as QEMU's max-fw-size

  // A chip that ends at `end` (guest-physical) and holds what the block node or -drive `drive` has.
  static Result<std::unique_ptr<Pflash>> Create(DeviceHost& host, unsigned number, const std::string& drive,
                                                uint64_t end);
  ~Pflash() override;  // while quiesced

  uint64_t base() const { return base_; }
  const std::shared_ptr<RamBlock>& array() const { return array_; }
  const FlashStore& store() const { return *store_; }

  void Reset() override;
  void Quiesce(UniqueFunction<void()> done) override;
  std::vector<std::string> StuckRequests() const override;
  void Resume() override {}
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;

 private:
  class Registers;
  Pflash(unsigned number, std::shared_ptr<FlashStore> store, std::shared_ptr<RamBlock> array, uint64_t end);
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value);
  std::shared_ptr<ParkedExit> KeepLocked() NANDU_TA(requires_capability(mutex_));
  void NoteLocked(const CfiFlash::Range& changed) NANDU_TA(requires_capability(mutex_));
  void FollowMode();

  const std::shared_ptr<FlashStore> store_;
  const std::shared_ptr<RamBlock> array_;
  const uint64_t base_;
  mutable Mutex mutex_;
  CfiFlash chip_ NANDU_TA(guarded_by(mutex_));
  std::optional<CfiFlash::Range> changed_ NANDU_TA(guarded_by(mutex_));  // and not yet kept
  Mapping mapping_;                                                      // changed within a transaction
};

}  // namespace nandu

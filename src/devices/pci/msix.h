// MSI-X of one function: the vector table and the pending bits, as registers in a BAR of their own, and the
// delivery of notifications. PCI Local Bus 3.0 section 6.8.2. Any thread; a leaf mutex.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nandu/io_handler.h>
#include <nandu/irq.h>

#include "base/counter.h"
#include "base/described.h"
#include "base/result.h"
#include "base/thread_annotations.h"

namespace nandu {

struct MsixVectorState {
  uint64_t address = 0;
  uint32_t data = 0;
  bool masked = true;
  bool pending = false;
};
BOOST_DESCRIBE_STRUCT(MsixVectorState, (), (address, data, masked, pending))

class MsixTable final : public IoHandler {
 public:
  static Result<std::shared_ptr<MsixTable>> Create(std::string name, unsigned vectors,
                                                   MsiAllocator& allocator);

  unsigned vectors() const { return static_cast<unsigned>(entries_size_); }
  // The layout of a BAR that holds nothing else: table first, pending bits in its second half, or after a
  // table that is longer.
  uint32_t pending_offset() const { return pending_offset_; }
  uint64_t bar_bytes() const { return bar_bytes_; }

  std::string_view name() const override { return name_; }
  uint64_t Read(uint64_t offset, unsigned size) override;
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override;

  void SetControl(bool enabled, bool masked);  // Message Control; unmasking delivers what is pending
  bool enabled() const;
  void Notify(unsigned vector);
  // The eventfd whose writing delivers the vector now; -1: it has to be notified (masked, disabled, or
  // without an irqfd). What masks and unmasks vectors in the table is told of; outside the lock, on the
  // writing thread.
  int DirectFd(unsigned vector) const;
  void SetMaskWatcher(std::function<void()> watcher) { mask_watcher_ = std::move(watcher); }  // before use
  void Reset();

  std::vector<MsixVectorState> Save() const;
  Result<> CheckLoaded(const std::vector<MsixVectorState>& saved) const;
  void Load(
      const std::vector<MsixVectorState>& saved);  // after CheckLoaded; delivers nothing before SetControl

  const Counter& ignored() const { return ignored_; }  // bad offsets and widths, vectors out of range

 private:
  struct Entry {
    MsixVectorState state;
    MsiMessage programmed;  // what the vector was told last
    bool is_programmed = false;
    std::unique_ptr<MsiVector> vector;
  };
  MsixTable(std::string name, std::vector<Entry> entries);
  void DeliverLocked(Entry& entry) NANDU_TA(requires_capability(mutex_));
  uint32_t ReadTableLocked(uint64_t offset) const NANDU_TA(requires_capability(mutex_));
  uint32_t ReadPendingLocked(uint64_t offset) const NANDU_TA(requires_capability(mutex_));
  void WriteTableLocked(uint64_t offset, uint32_t value) NANDU_TA(requires_capability(mutex_));

  const std::string name_;
  std::function<void()> mask_watcher_;
  const size_t entries_size_;
  uint32_t pending_offset_ = 0;
  uint64_t bar_bytes_ = 0;
  mutable Mutex mutex_;
  std::vector<Entry> entries_ NANDU_TA(guarded_by(mutex_));
  bool enabled_ NANDU_TA(guarded_by(mutex_)) = false;
  bool masked_ NANDU_TA(guarded_by(mutex_)) = false;
  Counter ignored_;
};

}  // namespace nandu

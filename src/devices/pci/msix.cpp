#include "devices/pci/msix.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/checked.h"
#include "devices/pci/pci_regs.h"

namespace nandu {

namespace {

constexpr uint64_t kEntryBytes = 16;
constexpr uint64_t kMinBarBytes = 4096;
constexpr uint32_t kVectorMasked = 1;  // Vector Control, bit 0; the others are reserved

constexpr uint64_t kOnes = ~uint64_t{0};

}  // namespace

Result<std::shared_ptr<MsixTable>> MsixTable::Create(std::string name, unsigned vectors,
                                                     MsiAllocator& allocator) {
  if (vectors < 1 || vectors > pci::kMsixMaxVectors) {
    return Fail(Errc::kInvalidArgument, "{} interrupt vectors; a function has 1 to {}", vectors,
                pci::kMsixMaxVectors);
  }
  std::vector<Entry> entries(vectors);
  for (Entry& entry : entries) {
    entry.vector = TRY(allocator.Allocate());
  }
  return std::shared_ptr<MsixTable>(new MsixTable(std::move(name), std::move(entries)));
}

MsixTable::MsixTable(std::string name, std::vector<Entry> entries)
    : name_(std::move(name)), entries_size_(entries.size()), entries_(std::move(entries)) {
  const uint64_t table_bytes = entries_size_ * kEntryBytes;
  const uint64_t pending_bytes = AlignUp(entries_size_, 64) / 8;
  pending_offset_ = Narrow<uint32_t>(std::max(kMinBarBytes / 2, table_bytes));
  bar_bytes_ = std::bit_ceil(std::max(kMinBarBytes, pending_offset_ + pending_bytes));
}

uint32_t MsixTable::ReadTableLocked(uint64_t offset) const {
  const MsixVectorState& state = entries_[offset / kEntryBytes].state;
  switch (offset % kEntryBytes) {
    case 0: return static_cast<uint32_t>(state.address);
    case 4: return static_cast<uint32_t>(state.address >> 32);
    case 8: return state.data;
    default: return state.masked ? kVectorMasked : 0;
  }
}

uint32_t MsixTable::ReadPendingLocked(uint64_t offset) const {
  uint32_t bits = 0;
  const uint64_t first = offset * 8;
  for (uint64_t i = 0; i < 32 && first + i < entries_size_; i++) {
    bits |= static_cast<uint32_t>(entries_[first + i].state.pending) << i;
  }
  return bits;
}

uint64_t MsixTable::Read(uint64_t offset, unsigned size) {
  // 6.8.2: software must use aligned 4- or 8-byte accesses.
  if ((size != 4 && size != 8) || offset % size != 0) {
    ignored_.Add();
    return kOnes;
  }
  const MutexLock lock(mutex_);
  uint64_t value = 0;
  for (unsigned i = 0; i < size; i += 4) {
    const uint64_t at = offset + i;
    uint32_t part = 0;
    if (at < entries_size_ * kEntryBytes) {
      part = ReadTableLocked(at);
    } else if (at >= pending_offset_) {
      part = ReadPendingLocked(at - pending_offset_);
    }
    value |= static_cast<uint64_t>(part) << (8 * i);
  }
  return value;
}

ExitDone MsixTable::Write(uint64_t offset, unsigned size, uint64_t value) {
  if ((size != 4 && size != 8) || offset % size != 0 || offset >= entries_size_ * kEntryBytes) {
    ignored_.Add();
    return ExitDone::Done();
  }
  bool mask_changed = false;
  {
    const MutexLock lock(mutex_);
    const MsixVectorState& state = entries_[offset / kEntryBytes].state;
    const bool before = state.masked;
    for (unsigned i = 0; i < size; i += 4) {
      WriteTableLocked(offset + i, static_cast<uint32_t>(value >> (8 * i)));
    }
    mask_changed = state.masked != before;
  }
  if (mask_changed && mask_watcher_) {
    mask_watcher_();
  }
  return ExitDone::Done();
}

int MsixTable::DirectFd(unsigned vector) const {
  const MutexLock lock(mutex_);
  if (vector >= entries_size_ || !enabled_ || masked_ || entries_[vector].state.masked) {
    return -1;
  }
  return entries_[vector].vector->fd();
}

void MsixTable::WriteTableLocked(uint64_t offset, uint32_t value) {
  Entry& entry = entries_[offset / kEntryBytes];
  MsixVectorState& state = entry.state;
  switch (offset % kEntryBytes) {
    case 0: state.address = (state.address & ~uint64_t{0xffffffff}) | (value & ~3U); break;
    case 4: state.address = (state.address & 0xffffffff) | static_cast<uint64_t>(value) << 32; break;
    case 8: state.data = value; break;
    default: state.masked = (value & kVectorMasked) != 0; break;
  }
  DeliverLocked(entry);
}

void MsixTable::DeliverLocked(Entry& entry) {
  if (!enabled_ || masked_ || entry.state.masked) {
    return;
  }
  const MsiMessage message{entry.state.address, entry.state.data};
  if (!entry.is_programmed || entry.programmed != message) {
    entry.vector->SetMessage(message);
    entry.programmed = message;
    entry.is_programmed = true;
  }
  if (std::exchange(entry.state.pending, false)) {
    entry.vector->Notify();
  }
}

void MsixTable::SetControl(bool enabled, bool masked) {
  const MutexLock lock(mutex_);
  if (enabled_ == enabled && masked_ == masked) {
    return;
  }
  enabled_ = enabled;
  masked_ = masked;
  for (Entry& entry : entries_) {
    DeliverLocked(entry);
  }
}

bool MsixTable::enabled() const {
  const MutexLock lock(mutex_);
  return enabled_;
}

void MsixTable::Notify(unsigned vector) {
  if (vector >= entries_size_) {
    ignored_.Add();
    return;
  }
  const MutexLock lock(mutex_);
  entries_[vector].state.pending = true;
  DeliverLocked(entries_[vector]);
}

void MsixTable::Reset() {
  const MutexLock lock(mutex_);
  enabled_ = false;
  masked_ = false;
  for (Entry& entry : entries_) {
    entry.state = MsixVectorState{};
  }
}

std::vector<MsixVectorState> MsixTable::Save() const {
  const MutexLock lock(mutex_);
  std::vector<MsixVectorState> states;
  for (const Entry& entry : entries_) {
    states.push_back(entry.state);
  }
  return states;
}

Result<> MsixTable::CheckLoaded(const std::vector<MsixVectorState>& saved) const {
  if (saved.size() != entries_size_) {
    return Fail(Errc::kCorrupt, "{} interrupt vectors, here {}", saved.size(), entries_size_);
  }
  for (const MsixVectorState& state : saved) {
    if ((state.address & 3) != 0) {
      return Fail(Errc::kCorrupt, "interrupt message address {:#x} is not a multiple of 4", state.address);
    }
  }
  return {};
}

void MsixTable::Load(const std::vector<MsixVectorState>& saved) {
  const MutexLock lock(mutex_);
  enabled_ = false;
  masked_ = false;
  for (size_t i = 0; i < entries_size_; i++) {
    entries_[i].state = saved.at(i);
  }
}

}  // namespace nandu

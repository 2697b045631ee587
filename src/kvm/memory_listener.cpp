#include "kvm/memory_listener.h"

#include <algorithm>
#include <errno.h>
#include <sys/ioctl.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/trace.h"

namespace nandu {
namespace {

constexpr uint64_t kPage = 4096;

}  // namespace

bool KvmSlot::SameAs(const KvmSlot& other) const {
  return base == other.base && size == other.size && readonly == other.readonly && block == other.block &&
         block_offset == other.block_offset;
}

std::vector<KvmSlot> KvmMemoryListener::Wanted(const FlatView& view) {
  std::vector<KvmSlot> wanted;
  for (const FlatRange& range : view.ranges()) {
    if (range.kind != Region::Kind::kRam) {
      continue;
    }
    const uint64_t base = AlignUp(range.base, kPage);
    const uint64_t lost = base - range.base;
    const uint64_t size = lost < range.size ? AlignDown(range.size - lost, kPage) : 0;
    const uint64_t offset = range.offset + lost;
    const auto host = reinterpret_cast<uint64_t>(range.block->host()) + offset;
    if (size != range.size || host % kPage != 0) {
      exit_driven_.Add();
    }
    if (size == 0 || host % kPage != 0) {
      continue;
    }
    // Neighbours that continue each other are one slot: the view may be cut where nothing differs for KVM.
    if (!wanted.empty()) {
      KvmSlot& last = wanted.back();
      if (last.base + last.size == base && last.block == range.block &&
          last.block_offset + last.size == offset && last.readonly == range.readonly) {
        last.size += size;
        continue;
      }
    }
    KvmSlot slot;
    slot.base = base;
    slot.size = size;
    slot.readonly = range.readonly;
    slot.block = range.block;
    slot.block_offset = offset;
    wanted.push_back(std::move(slot));
  }
  return wanted;
}

uint32_t KvmMemoryListener::TakeId() {
  const auto free = std::find(ids_.begin(), ids_.end(), false);
  const auto id = static_cast<uint32_t>(free - ids_.begin());
  if (free == ids_.end()) {
    ids_.push_back(true);
  } else {
    *free = true;
  }
  return id;
}

bool KvmMemoryListener::SetSlot(const KvmSlot& slot, bool present) {
  kvm_userspace_memory_region region{};
  region.slot = slot.id;
  region.flags = (slot.readonly ? KVM_MEM_READONLY : 0U) | (slot.logged ? KVM_MEM_LOG_DIRTY_PAGES : 0U);
  region.guest_phys_addr = slot.base;
  region.memory_size = present ? slot.size : 0;
  region.userspace_addr = reinterpret_cast<uint64_t>(slot.block->host()) + slot.block_offset;
  Trace(TraceEvent::kKvmMemorySlot, "{} of '{}' at {:#x}, {:#x} bytes", slot.id, slot.block->name(),
        slot.base, region.memory_size);
  if (ioctl(vm_.fd(), KVM_SET_USER_MEMORY_REGION, &region) == 0) {
    return true;
  }
  Log(LogLevel::kError, "KVM refuses the memory slot of '{}' at {:#x}, {:#x} bytes: {}", slot.block->name(),
      slot.base, slot.size, ErrnoText(errno));
  return false;
}

void KvmMemoryListener::Commit(const FlatView* /*from*/, const FlatView& to) {
  std::vector<KvmSlot> wanted = Wanted(to);
  const MutexLock lock(mutex_);
  std::vector<KvmSlot> next;
  next.reserve(wanted.size());
  // Deletes before adds: KVM refuses slots that overlap.
  for (KvmSlot& old : slots_) {
    const auto same =
        std::find_if(wanted.begin(), wanted.end(), [&](const KvmSlot& slot) { return slot.SameAs(old); });
    if (same != wanted.end()) {
      wanted.erase(same);
      next.push_back(std::move(old));
      continue;
    }
    if (old.logged && removed_) {
      if (const Result<std::vector<uint64_t>> log = FetchLog(old); log) {
        removed_(old, *log);
      }
    }
    SetSlot(old, false);
    ids_[old.id] = false;
  }
  for (KvmSlot& slot : wanted) {
    slot.id = TakeId();
    slot.logged = logging_ && !slot.readonly;
    if (SetSlot(slot, true)) {
      next.push_back(std::move(slot));
    } else {
      ids_[slot.id] = false;
      exit_driven_.Add();
    }
  }
  std::sort(next.begin(), next.end(), [](const KvmSlot& a, const KvmSlot& b) { return a.base < b.base; });
  slots_ = std::move(next);
}

std::vector<KvmSlot> KvmMemoryListener::slots() const {
  const MutexLock lock(mutex_);
  return slots_;
}

Result<> KvmMemoryListener::SetLogging(bool on) {
  for (KvmSlot& slot : slots_) {
    if (slot.readonly || slot.logged == on) {
      continue;
    }
    slot.logged = on;
    if (!SetSlot(slot, true)) {
      slot.logged = !on;
      return Fail(Errc::kIo, "KVM cannot {} logging of writes to '{}'", on ? "start" : "stop",
                  slot.block->name());
    }
  }
  return {};
}

Result<> KvmMemoryListener::StartDirtyLog(DirtySink removed) {
  const MutexLock lock(mutex_);
  const auto manual = static_cast<uint64_t>(vm_.cap(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2));
  if (!manual_protect_ && manual != 0) {
    TRY(vm_.EnableCap(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
                      manual & (KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET)));
    manual_protect_ = true;
  }
  removed_ = std::move(removed);
  logging_ = true;
  return SetLogging(true);
}

Result<> KvmMemoryListener::StopDirtyLog() {
  const MutexLock lock(mutex_);
  removed_ = nullptr;
  logging_ = false;
  return SetLogging(false);
}

Result<std::vector<uint64_t>> KvmMemoryListener::FetchLog(const KvmSlot& slot) {
  std::vector<uint64_t> bitmap(AlignUp(slot.size / kPage, 64) / 64);
  kvm_dirty_log log{};
  log.slot = slot.id;
  log.dirty_bitmap = bitmap.data();
  TRY(vm_.Call(KVM_GET_DIRTY_LOG, &log, "KVM_GET_DIRTY_LOG"));
  return bitmap;
}

Result<> KvmMemoryListener::ReadDirtyLog(const DirtySink& sink) {
  const MutexLock lock(mutex_);
  for (const KvmSlot& slot : slots_) {
    if (slot.logged) {
      const std::vector<uint64_t> bitmap = TRY(FetchLog(slot));
      sink(slot, bitmap);
    }
  }
  return {};
}

Result<> KvmMemoryListener::ClearDirtyLog(const KvmSlot& slot, uint64_t first_page, uint64_t pages,
                                          std::span<const uint64_t> bitmap) {
  const MutexLock lock(mutex_);
  const auto live = std::find_if(slots_.begin(), slots_.end(),
                                 [&](const KvmSlot& now) { return now.id == slot.id && now.SameAs(slot); });
  if (live == slots_.end() || !live->logged) {
    return {};  // gone since it was read: its last bitmap went to `removed`
  }
  // KVM takes whole words of 64 pages; only a slot's last one may be short.
  const uint64_t slot_pages = live->size / kPage;
  if (first_page % 64 != 0 || first_page > slot_pages || pages > slot_pages - first_page ||
      (pages % 64 != 0 && first_page + pages != slot_pages) || bitmap.size() * 64 < pages) {
    return Fail(Errc::kInvalidArgument, "clearing the dirty log takes whole words of 64 pages");
  }
  kvm_clear_dirty_log clear{};
  clear.slot = slot.id;
  clear.first_page = first_page;
  clear.num_pages = static_cast<uint32_t>(pages);
  clear.dirty_bitmap = const_cast<uint64_t*>(bitmap.data());
  return vm_.Call(KVM_CLEAR_DIRTY_LOG, &clear, "KVM_CLEAR_DIRTY_LOG");
}

}  // namespace nandu

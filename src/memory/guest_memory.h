// Guest RAM as plain memory: an immutable, sorted list of regions. Hotplug and BAR moves publish a new one; a
// holder of the old one keeps its pages mapped. Checked access only: a bad range is an answer, never an
// abort. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <sys/uio.h>
#include <type_traits>
#include <vector>

#include "memory/gpa.h"
#include "memory/ram_block.h"

namespace nandu {

struct RamRange {
  uint64_t base = 0;  // guest-physical
  uint64_t size = 0;
  std::shared_ptr<RamBlock> block;
  uint64_t block_offset = 0;
  bool readonly = false;
  bool operator==(const RamRange&) const = default;
};

// One page of the host, as the guest sees it.
struct HostPage {
  Gpa base;
  uint64_t bytes = 0;
};
// What a discarded page may read as: a private file's page reads as the file does, everything else as zeroes.
enum class DiscardedReads : uint8_t { kAnything, kZeroes };

class GuestMemory {
 public:
  explicit GuestMemory(std::vector<RamRange> ranges);  // sorted by base, not overlapping

  const std::vector<RamRange>& ranges() const { return ranges_; }

  // Appends iovecs that cover [at, at+len); false (and `out` as it was) when a byte of it is no RAM or, for
  // kWrite, read-only.
  bool ToIovecs(Gpa at, uint64_t len, Access access, std::vector<iovec>* out) const;
  // The host address of [at, at+len) when it lies within one region; null otherwise.
  std::byte* HostPointer(Gpa at, uint64_t len, Access access) const;

  // One copy: what was loaded cannot change under the caller. A naturally aligned value of 2, 4 or 8 bytes is
  // copied whole. False, and `out` unspecified or nothing written, when a byte of it is no RAM (Write: no
  // writable RAM), or one that the host has lost (base/lost_memory.h).
  bool Read(Gpa at, void* out, uint64_t len) const;
  bool Write(Gpa at, const void* from, uint64_t len) const;  // marks dirty itself
  template <class T>
  requires std::is_trivially_copyable_v<T>
  bool Load(Gpa at, T* out) const { return Read(at, out, sizeof(T)); }
  template <class T>
  requires std::is_trivially_copyable_v<T>
  bool Store(Gpa at, const T& value) const { return Write(at, &value, sizeof(T)); }
  // For writes through iovecs, before the guest is told. One relaxed test when logging is off.
  void MarkDirty(Gpa at, uint64_t len) const;

  // Gives [at, at+len) back to the host and returns how many bytes went: host pages that lie in it as a
  // whole, and that the host does not keep (memory/ram_discard.h); the rest stays as it was. Marks dirty
  // itself. Nullopt, and nothing has changed, when a byte of it is no writable RAM.
  std::optional<uint64_t> Discard(Gpa at, uint64_t len, DiscardedReads reads) const;
  // The host's page at `at`, which may begin or end outside RAM; nullopt where there is no writable RAM.
  std::optional<HostPage> FindHostPage(Gpa at) const;

 private:
  const RamRange* Find(uint64_t at) const;
  template <class Visit>
  bool ForEachPiece(Gpa at, uint64_t len, Access access, Visit visit) const;
  std::vector<RamRange> ranges_;
};

}  // namespace nandu

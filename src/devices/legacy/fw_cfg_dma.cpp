// fw_cfg's DMA: one descriptor, one transfer, its outcome written back (QEMU, docs/specs/fw_cfg.rst, "DMA
// interface").
#include <algorithm>
#include <array>

#include "devices/legacy/fw_cfg.h"
#include "devices/legacy/fw_cfg_wire.h"
#include "memory/guest_memory.h"

namespace nandu {

struct FwCfg::Transfer {
  enum class Kind : uint8_t { kNothing, kRead, kWrite, kSkip };
  Kind kind = Kind::kNothing;
  uint64_t length = 0;
  Gpa address;
};

namespace {

// What lies behind an item's end reads as zeroes.
bool Zero(const GuestMemory& memory, Gpa at, uint64_t bytes) {
  static constexpr std::array<uint8_t, 4096> kZeroes = {};
  while (bytes != 0) {
    const uint64_t piece = std::min<uint64_t>(bytes, kZeroes.size());
    if (!memory.Write(at, kZeroes.data(), piece)) {
      return false;
    }
    at.v += piece;
    bytes -= piece;
  }
  return true;
}

}  // namespace

bool FwCfg::ReadLocked(const GuestMemory& memory, const Content& content, const Transfer& transfer,
                       uint64_t bytes) {
  if (!content.read) {
    return memory.Write(transfer.address, content.bytes.data() + offset_, bytes);
  }
  std::vector<iovec> pieces;
  if (!memory.ToIovecs(transfer.address, bytes, Access::kWrite, &pieces)) {
    return false;
  }
  uint64_t offset = offset_;
  for (const iovec& piece : pieces) {
    if (!content.read(offset, piece.iov_base, piece.iov_len)) {
      return false;
    }
    offset += piece.iov_len;
  }
  memory.MarkDirty(transfer.address, bytes);
  return true;
}

// A part of the transfer: up to the item's end, or all of what lies behind it.
bool FwCfg::TransferLocked(const GuestMemory& memory, Transfer* transfer) {
  Content* const content = CurrentLocked();
  const uint64_t size = content == nullptr ? 0 : (content->read ? content->size : content->bytes.size());
  uint64_t bytes = transfer->length;
  bool good = true;
  if (offset_ >= size) {
    good = transfer->kind == Transfer::Kind::kSkip ||
           (transfer->kind == Transfer::Kind::kRead && Zero(memory, transfer->address, bytes));
  } else {
    bytes = std::min(bytes, size - offset_);
    if (transfer->kind == Transfer::Kind::kRead) {
      good = ReadLocked(memory, *content, *transfer, bytes);
    } else if (transfer->kind == Transfer::Kind::kWrite) {
      good = content->writable && bytes == transfer->length &&
             memory.Read(transfer->address, content->bytes.data() + offset_, bytes);
    }
    offset_ += static_cast<uint32_t>(bytes);
  }
  transfer->address.v += bytes;
  transfer->length -= bytes;
  return good;
}

void FwCfg::RunDma(uint64_t descriptor) {
  const std::shared_ptr<const FlatView> view = host_.memory_space().view();
  const GuestMemory& memory = *view->memory();
  const Gpa at{descriptor};
  std::array<uint8_t, fw_cfg::kDmaDescriptorBytes> bytes;
  bool good = memory.Read(at, bytes.data(), bytes.size());
  std::function<void(const std::vector<uint8_t>&)> written;
  std::vector<uint8_t> content;
  if (good) {
    const auto control = static_cast<uint32_t>(fw_cfg::BigEndian(bytes.data(), 4));
    Transfer transfer;
    transfer.length = fw_cfg::BigEndian(bytes.data() + 4, 4);
    transfer.address = Gpa{fw_cfg::BigEndian(bytes.data() + 8, 8)};
    transfer.kind = (control & fw_cfg::kDmaRead) != 0    ? Transfer::Kind::kRead
                    : (control & fw_cfg::kDmaWrite) != 0 ? Transfer::Kind::kWrite
                    : (control & fw_cfg::kDmaSkip) != 0  ? Transfer::Kind::kSkip
                                                         : Transfer::Kind::kNothing;
    if ((control & fw_cfg::kDmaSelect) != 0) {
      Select(static_cast<uint16_t>(control >> 16));
    }
    const MutexLock lock(mutex_);
    while (good && transfer.kind != Transfer::Kind::kNothing && transfer.length != 0) {
      good = TransferLocked(memory, &transfer);
    }
    if (good && transfer.kind == Transfer::Kind::kWrite) {
      if (const Content* const current = CurrentLocked()) {
        written = current->written;
        content = current->bytes;
      }
    }
  }
  if (written) {
    written(content);
  }
  if (!good) {
    counters_.dma_errors.Add();
  }
  const uint32_t outcome = good ? 0 : __builtin_bswap32(fw_cfg::kDmaError);
  (void)memory.Store(at, outcome);
}

}  // namespace nandu

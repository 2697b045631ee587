#include "devices/storage/ata_disk.h"

#include <algorithm>

#include "devices/storage/bytes.h"
#include "devices/storage/scatter.h"

namespace nandu {

using ata::Op;

namespace {

constexpr size_t kMaxPieces = 1024;                        // of one request (IOV_MAX)
constexpr uint64_t kMaxRequestBytes = uint64_t{64} << 20;  // 65536 sectors are 32 MiB

}  // namespace

void PutAtaText(uint8_t* at, std::string_view text, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) {
    at[i ^ 1] = i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{' '};
  }
}

Result<> Validate(const AtaDriveState& state) {
  if (state.multiple > 16 || (state.dma_kind != 62 && state.dma_kind != 63 && state.dma_kind != 88) ||
      (state.dma_mode & 0xff) != 0) {
    return Fail(Errc::kCorrupt, "an ATA drive's settings are impossible");
  }
  return {};
}

AtaDisk::AtaDisk(std::shared_ptr<DiskFront> disk, AtaDiskConfig config)
    : disk_(std::move(disk)), config_(std::move(config)) {
  Reset();
}

void AtaDisk::Reset() {
  state_ = {};
  state_.write_cache = config_.write_cache;
  state_.failed_tag = 0x80;
  state_.unit.size_bytes = disk_->size_bytes();
}

Result<> AtaDisk::Load(const AtaDriveState& state) {
  if (state.unit.size_bytes != disk_->size_bytes()) {
    return Fail(Errc::kCorrupt,
                "the guest's disk has {} bytes, the image {}; give it the image it was saved with",
                state.unit.size_bytes, disk_->size_bytes());
  }
  state_ = state;
  return {};
}

void AtaDisk::Good(AtaCommand& command, uint64_t moved) {
  command.status = ata::kStatusGood;
  command.error = 0;
  command.moved = moved;
  command.done(&command);
}

void AtaDisk::Abort(AtaCommand& command, uint8_t error) {
  command.status = ata::kStatusReady | ata::kStatusError;
  command.error = error;
  command.moved = 0;
  if (command.protocol == AtaProtocol::kQueued) {
    state_.failed_tag = static_cast<uint8_t>(command.in.count >> 3);
    state_.failed_lba = command.in.lba;
    state_.failed_status = command.status;
    state_.failed_error = command.error;
  }
  command.done(&command);
}

void AtaDisk::ReplyPio(AtaCommand& command, std::span<const uint8_t> bytes) {
  command.protocol = AtaProtocol::kPioIn;
  command.to_memory = true;
  Good(command, CopyInto(command.data, 0, bytes.data(), bytes.size()));
}

void AtaDisk::Execute(AtaCommand* command) {
  counters_.commands.Add();
  command->drive = this;
  command->protocol = AtaProtocol::kNoData;
  command->out = command->in;
  command->moved = 0;
  command->step = 0;
  command->to_memory = command->parked = false;
  AtaCommand& it = *command;
  using P = AtaProtocol;
  switch (Op{it.in.command}) {
    case Op::kReadSectors:
    case Op::kReadMultiple: Move(it, {false, false, false, P::kPioIn}); return;
    case Op::kReadSectorsExt:
    case Op::kReadMultipleExt: Move(it, {false, true, false, P::kPioIn}); return;
    case Op::kReadDma: Move(it, {false, false, false, P::kDma}); return;
    case Op::kReadDmaExt: Move(it, {false, true, false, P::kDma}); return;
    case Op::kReadFpdma: Move(it, {false, true, false, P::kQueued}); return;
    case Op::kWriteSectors:
    case Op::kWriteMultiple: Move(it, {true, false, false, P::kPioOut}); return;
    case Op::kWriteSectorsExt:
    case Op::kWriteMultipleExt: Move(it, {true, true, false, P::kPioOut}); return;
    case Op::kWriteMultipleFuaExt: Move(it, {true, true, true, P::kPioOut}); return;
    case Op::kWriteDma: Move(it, {true, false, false, P::kDma}); return;
    case Op::kWriteDmaExt: Move(it, {true, true, false, P::kDma}); return;
    case Op::kWriteDmaFuaExt: Move(it, {true, true, true, P::kDma}); return;
    case Op::kWriteFpdma: Move(it, {true, true, (it.in.device & ata::kDeviceFua) != 0, P::kQueued}); return;
    case Op::kFlush:
    case Op::kFlushExt: Flush(it); return;
    case Op::kDataSetManagement: Trim(it); return;
    case Op::kIdentify: Identify(it); return;
    case Op::kSetFeatures: SetFeatures(it); return;
    case Op::kSmart: Smart(it); return;
    case Op::kReadLogExt: ReadLog(it); return;
    case Op::kReadNativeMax: NativeMax(it, false); return;
    case Op::kReadNativeMaxExt: NativeMax(it, true); return;
    case Op::kVerify:
    case Op::kVerifyExt: {
      uint64_t sector = 0;
      FirstSector(it, Op{it.in.command} == Op::kVerifyExt, &sector) ? Good(it)
                                                                    : Abort(it, ata::kErrorIdNotFound);
      return;
    }
    case Op::kSetMultiple: {
      const unsigned sectors = it.in.count & 0xff;
      if (sectors > 16 || (sectors & (sectors - 1)) != 0) {
        Abort(it);
        return;
      }
      state_.multiple = static_cast<uint8_t>(sectors);
      Good(it);
      return;
    }
    case Op::kCheckPower:
      it.out.count = 0xff;
      Good(it);
      return;  // active
    case Op::kRecalibrate:
    case Op::kSeek:
    case Op::kInitializeParameters:
    case Op::kStandbyImmediate:
    case Op::kIdleImmediate:
    case Op::kStandby:
    case Op::kIdle:
    case Op::kSleep:
    case Op::kSecurityFreeze: Good(it); return;  // nothing of it is there to move, to sleep or to freeze
    default: counters_.unknown.Add(); Abort(it);
  }
}

// ATA8-ACS, 7.1: 48 bits, 28 bits, or (ATA-5, 6.2.1) cylinder, head and sector of 16 heads and 63 sectors.
bool AtaDisk::FirstSector(const AtaCommand& command, bool ext, uint64_t* sector) const {
  const AtaRegisters& in = command.in;
  if (ext) {
    *sector = in.lba;
  } else if ((in.device & ata::kDeviceLba) != 0) {
    *sector = (in.lba & 0xffffff) | uint64_t{in.device & 0x0fu} << 24;
  } else {
    const uint64_t number = in.lba & 0xff;
    if (number == 0) {
      return false;
    }
    *sector = ((in.lba >> 8 & 0xffff) * 16 + (in.device & 0x0f)) * 63 + number - 1;
  }
  return *sector < sectors();
}

void AtaDisk::Move(AtaCommand& command, const Access& access) {
  command.protocol = access.protocol;
  command.to_memory = !access.write;
  const bool queued = access.protocol == AtaProtocol::kQueued;
  const unsigned raw = queued ? command.in.feature : access.ext ? command.in.count : command.in.count & 0xffu;
  const uint64_t count = raw != 0 ? raw : access.ext ? 65536 : 256;
  uint64_t sector = 0;
  if (!FirstSector(command, access.ext, &sector) || count > sectors() - sector) {
    counters_.bad_ranges.Add();
    Abort(command, ata::kErrorIdNotFound);
    return;
  }
  command.offset = sector * ata::kSectorBytes;
  command.bytes = count * ata::kSectorBytes;
  if (BytesOf(command.data) < command.bytes) {
    counters_.short_buffers.Add();
    Abort(command);
    return;
  }
  if (access.write && disk_->read_only()) {
    Abort(command);
    return;
  }
  command.disk.io = {};
  command.disk.io.op = access.write ? BlockRequest::Op::kWrite : BlockRequest::Op::kRead;
  command.disk.io.fua = access.write && (access.fua || !state_.write_cache);
  command.moved = 0;
  NextPiece(command);
}

// As much as one request takes, in whole sectors; nearly always that is all.
void AtaDisk::NextPiece(AtaCommand& command) {
  auto& self = static_cast<AtaDisk&>(*command.drive);
  if (command.moved == command.bytes) {
    self.Good(command, command.moved);
    return;
  }
  uint64_t bytes = std::min(command.bytes - command.moved, kMaxRequestBytes);
  Slice(command.data, command.moved, bytes, &command.pieces);
  if (command.pieces.size() > kMaxPieces) {
    command.pieces.resize(kMaxPieces);
    bytes = BytesOf(command.pieces) / ata::kSectorBytes * ata::kSectorBytes;
    Slice(command.data, command.moved, bytes, &command.pieces);
  }
  command.disk.io.iov = command.pieces;
  command.disk.io.offset = command.offset + command.moved;
  command.disk.io.bytes = bytes;
  command.moved += bytes;
  self.Transfer(command, NextPiece);
}

void AtaDisk::Transfer(AtaCommand& command, void (*next)(AtaCommand& command)) {
  command.next = next;
  command.disk.owner = &command;
  command.disk.done = OnDisk;
  disk_->Submit(&command.disk);
}

void AtaDisk::OnDisk(DiskRequest* request, DiskResult result) {
  AtaCommand& command = *static_cast<AtaCommand*>(request->owner);
  auto& self = static_cast<AtaDisk&>(*command.drive);
  switch (result) {
    case DiskResult::kOk: command.next(command); return;
    case DiskResult::kParked:
      command.parked = true;
      command.done(&command);
      return;
    case DiskResult::kUnsupported: self.Abort(command); return;
    case DiskResult::kFailed:
      self.Abort(command,
                 request->io.op == BlockRequest::Op::kRead ? ata::kErrorUncorrectable : ata::kErrorAborted);
  }
}

void AtaDisk::Flush(AtaCommand& command) {
  command.disk.io = {};
  command.disk.io.op = BlockRequest::Op::kFlush;
  Transfer(command, [](AtaCommand& done) { static_cast<AtaDisk&>(*done.drive).Good(done); });
}

// ATA8-ACS, 7.10: ranges of a 48-bit address and a 16-bit count, eight bytes each.
void AtaDisk::Trim(AtaCommand& command) {
  command.protocol = AtaProtocol::kDma;
  const bool trim = (command.in.feature & 1) != 0;
  const size_t bytes = size_t{command.in.count} * ata::kSectorBytes;
  constexpr size_t kMaxBytes = 64 * ata::kSectorBytes;  // 4096 ranges
  if (!trim || !config_.discard || disk_->read_only() || bytes == 0 || bytes > kMaxBytes) {
    Abort(command);
    return;
  }
  command.scratch.resize(bytes);
  if (CopyFrom(command.data, 0, command.scratch.data(), bytes) < bytes) {
    counters_.short_buffers.Add();
    Abort(command);
    return;
  }
  NextTrim(command);
}

void AtaDisk::NextTrim(AtaCommand& command) {
  auto& self = static_cast<AtaDisk&>(*command.drive);
  while (command.step < command.scratch.size()) {
    const uint64_t range = Le64(&command.scratch[command.step]);
    command.step += 8;
    const uint64_t sector = range & 0xffffffffffff;
    const uint64_t count = range >> 48;
    if (count == 0) {
      continue;
    }
    if (sector > self.sectors() || count > self.sectors() - sector) {
      self.counters_.bad_ranges.Add();
      self.Abort(command, ata::kErrorIdNotFound);
      return;
    }
    command.disk.io = {};
    command.disk.io.op = BlockRequest::Op::kDiscard;
    command.disk.io.offset = sector * ata::kSectorBytes;
    command.disk.io.bytes = count * ata::kSectorBytes;
    self.Transfer(command, NextTrim);
    return;
  }
  self.Good(command, command.scratch.size());
}

void AtaDisk::NativeMax(AtaCommand& command, bool ext) {
  const uint64_t last = sectors() == 0 ? 0 : sectors() - 1;
  if (ext) {
    command.out.lba = last;
  } else {
    const uint64_t shown = std::min<uint64_t>(last, 0x0fffffff);
    command.out.lba = shown & 0xffffff;
    command.out.device = static_cast<uint8_t>((command.in.device & 0xf0) | (shown >> 24 & 0x0f));
  }
  Good(command);
}

// ATA8-ACS, 7.45.
void AtaDisk::SetFeatures(AtaCommand& command) {
  switch (command.in.feature & 0xff) {
    case 0x02: state_.write_cache = true; break;
    case 0x82:
      state_.write_cache = false;
      Flush(command);  // what was cached so far
      return;
    case 0x03: {  // transfer mode: the kind in the upper bits, the mode in the lower
      const unsigned kind = command.in.count >> 3 & 0x1f;
      const unsigned mode = command.in.count & 7;
      const unsigned last = kind == 8 ? 6 : 2;
      if (kind > 8 || (kind > 1 && kind != 4 && kind != 8) || (kind > 1 && mode > last)) {
        Abort(command);
        return;
      }
      // PIO modes select no DMA.
      state_.dma_kind = kind == 8 ? 88 : kind == 4 ? 63 : state_.dma_kind;
      state_.dma_mode = kind > 1 ? static_cast<uint16_t>(0x100u << mode) : uint16_t{0};
      break;
    }
    case 0x05:  // power and acoustic management, look-ahead and reverting to defaults have nothing to act on
    case 0x42:
    case 0x55:
    case 0x66:
    case 0x67:
    case 0x85:
    case 0x96:
    case 0xaa:
    case 0xc2:
    case 0xcc: break;
    default: Abort(command); return;
  }
  Good(command);
}

}  // namespace nandu

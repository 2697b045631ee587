#include "devices/storage/scsi_disk.h"

#include <algorithm>
#include <bit>

#include "devices/storage/bytes.h"
#include "devices/storage/scatter.h"

namespace nandu {

using scsi::Op;

ScsiDisk::ScsiDisk(std::shared_ptr<DiskFront> disk, ScsiDiskConfig config)
    : ScsiUnit(std::move(disk), config.identity, config.logical_block_size),
      config_(std::move(config)),
      shared_read_only_(*shared_disk()) {
  Reset();
}

void ScsiDisk::Reset() {
  ScsiUnit::Reset();
  write_cache_ = config_.write_cache;
}

void ScsiDisk::Dispatch(ScsiCommand& command) {
  switch (Op{command.cdb[0]}) {
    case Op::kTestUnitReady:
    case Op::kReserve6:
    case Op::kRelease6:
    case Op::kStartStopUnit:
    case Op::kPreventAllow:
    case Op::kSeek6:
    case Op::kSeek10:
    case Op::kFormatUnit: Good(command); return;  // nothing is to be done for them
    case Op::kRead6:
    case Op::kRead10:
    case Op::kRead12:
    case Op::kRead16:
      if (TakeRange(command)) {
        ReadBlocks(command);
      }
      return;
    case Op::kWrite6:
    case Op::kWrite10:
    case Op::kWrite12:
    case Op::kWrite16:
    case Op::kWriteVerify10:
    case Op::kWriteVerify12:
    case Op::kWriteVerify16:
      if (TakeRange(command) && MayWrite(command)) {
        Write(command);
      }
      return;
    case Op::kVerify10:
    case Op::kVerify12:
    case Op::kVerify16:
      if (TakeRange(command)) {
        Verify(command);
      }
      return;
    case Op::kSynchronizeCache10:
    case Op::kSynchronizeCache16: Flush(command, Done); return;
    case Op::kWriteSame10:
    case Op::kWriteSame16:
      if (TakeRange(command) && MayWrite(command)) {
        WriteSame(command);
      }
      return;
    case Op::kUnmap:
      if (MayWrite(command)) {
        Unmap(command);
      }
      return;
    case Op::kReadCapacity10: ReadCapacity(command, false); return;
    case Op::kServiceActionIn16:
      if ((command.cdb[1] & 0x1f) == scsi::kReadCapacity16) {
        ReadCapacity(command, true);
      } else {
        Check(command, scsi::kBadField);
      }
      return;
    default: Check(command, scsi::kUnknownCommand);
  }
}

// SBC-3, 5.8 and after: where a CDB of each length has its address and count.
bool ScsiDisk::TakeRange(ScsiCommand& command) {
  const auto& cdb = command.cdb;
  switch (cdb[0] >> 5) {
    case 0:
      command.lba = Be24(&cdb[1]) & 0x1fffff;
      command.blocks = cdb[4] == 0 ? 256 : cdb[4];
      return true;
    case 1:
    case 2:
      command.lba = Be32(&cdb[2]);
      command.blocks = Be16(&cdb[7]);
      break;
    case 4:
      command.lba = Be64(&cdb[2]);
      command.blocks = Be32(&cdb[10]);
      break;
    default:
      command.lba = Be32(&cdb[2]);
      command.blocks = Be32(&cdb[6]);
  }
  const bool same = Op{cdb[0]} == Op::kWriteSame10 || Op{cdb[0]} == Op::kWriteSame16;
  if (!same && (cdb[1] & 0xe0) != 0) {  // protection information: none
    Check(command, scsi::kBadField);
    return false;
  }
  if (command.blocks > config_.max_io_bytes / block_bytes()) {
    Check(command, scsi::kBadField);
    return false;
  }
  return true;
}

bool ScsiDisk::MayWrite(ScsiCommand& command) {
  if (disk_read_only()) {
    Check(command, scsi::kWriteProtected);
    return false;
  }
  return true;
}

void ScsiDisk::Write(ScsiCommand& command) {
  if (!InRange(command.lba, command.blocks)) {
    Check(command, scsi::kOutOfRange);
    return;
  }
  if (command.blocks == 0) {
    Good(command);
    return;
  }
  const uint64_t bytes = command.blocks * block_bytes();
  if (BytesOf(command.out) < bytes) {
    counters_.overruns.Add();
    command.overrun = true;
    Good(command);
    return;
  }
  const bool fua = command.cdb[0] >= 0x20 && (command.cdb[1] & 0x08) != 0;
  Slice(command.out, 0, bytes, &command.pieces);
  command.disk.io = {};
  command.disk.io.op = BlockRequest::Op::kWrite;
  command.disk.io.fua = fua || !write_cache_;
  command.disk.io.offset = command.lba * block_bytes();
  command.disk.io.bytes = command.moved = bytes;
  command.disk.io.iov = command.pieces;
  Transfer(command, Done);
}

// SBC-3, 5.31. What is written lies in the host's care: there is nothing to compare unless bytes are sent.
void ScsiDisk::Verify(ScsiCommand& command) {
  if ((command.cdb[1] & 0x06) != 0) {
    Check(command, scsi::kBadField);
  } else if (!InRange(command.lba, command.blocks)) {
    Check(command, scsi::kOutOfRange);
  } else {
    Good(command);
  }
}

// SBC-3, 5.43 and 5.44. Zeroes, and UNMAP, are one request of the node; other data is written piece by piece.
void ScsiDisk::WriteSame(ScsiCommand& command) {
  const bool no_data = Op{command.cdb[0]} == Op::kWriteSame16 && (command.cdb[1] & 0x01) != 0;
  const bool unmap = (command.cdb[1] & 0x08) != 0;
  if ((command.cdb[1] & 0xf0) != 0 || command.blocks == 0) {  // WSNZ: 0 is not "to the end"
    Check(command, scsi::kBadField);
    return;
  }
  if (!InRange(command.lba, command.blocks)) {
    Check(command, scsi::kOutOfRange);
    return;
  }
  command.scratch.assign(block_bytes(), 0);
  if (!no_data && CopyFrom(command.out, 0, command.scratch.data(), block_bytes()) < block_bytes()) {
    counters_.overruns.Add();
    command.overrun = true;
    Good(command);
    return;
  }
  command.moved = no_data ? 0 : block_bytes();
  const bool zero = std::all_of(command.scratch.begin(), command.scratch.end(), [](uint8_t b) { return b == 0; });
  command.disk.io = {};
  command.disk.io.offset = command.lba * block_bytes();
  command.disk.io.fua = !write_cache_;
  if (zero) {
    command.disk.io.op = BlockRequest::Op::kWriteZeroes;
    command.disk.io.may_unmap = unmap;
    command.disk.io.bytes = command.blocks * block_bytes();
    Transfer(command, Done);
    return;
  }
  // 64 KiB of the block repeated, as often as it takes.
  constexpr uint64_t kPieceBytes = 64 << 10;
  const uint64_t repeats = std::clamp<uint64_t>(kPieceBytes / block_bytes(), 1, command.blocks);
  const std::vector<uint8_t> block = command.scratch;
  command.scratch.clear();
  for (uint64_t i = 0; i < repeats; ++i) {
    command.scratch.insert(command.scratch.end(), block.begin(), block.end());
  }
  NextSame(command);
}

void ScsiDisk::NextSame(ScsiCommand& command) {
  auto& self = static_cast<ScsiDisk&>(*command.unit);
  if (command.blocks == 0) {
    self.Good(command, command.moved);
    return;
  }
  const uint64_t blocks = std::min<uint64_t>(command.blocks, command.scratch.size() / self.block_bytes());
  command.disk.io.op = BlockRequest::Op::kWrite;
  command.disk.io.offset = command.lba * self.block_bytes();
  command.disk.io.bytes = blocks * self.block_bytes();
  command.pieces.assign(1, {command.scratch.data(), static_cast<size_t>(command.disk.io.bytes)});
  command.disk.io.iov = command.pieces;
  command.lba += blocks;
  command.blocks -= blocks;
  self.Transfer(command, NextSame);
}

// SBC-3, 5.28.
void ScsiDisk::Unmap(ScsiCommand& command) {
  constexpr size_t kHeader = 8;
  constexpr size_t kDescriptor = 16;
  constexpr size_t kMaxDescriptors = 255;  // as VPD 0xb0 says
  if ((command.cdb[1] & 1) != 0) {         // anchored blocks: none
    Check(command, scsi::kBadField);
    return;
  }
  const size_t length = Be16(&command.cdb[7]);
  if (length == 0) {
    Good(command);
    return;
  }
  command.scratch = GatherOut(command, length);
  const std::vector<uint8_t>& list = command.scratch;
  if (list.size() < length || length < kHeader) {
    Check(command, scsi::kBadParameterLength);
    return;
  }
  const size_t described = Be16(&list[2]);
  if (Be16(list.data()) + 2u > length || described + kHeader > length || described % kDescriptor != 0) {
    Check(command, scsi::kBadParameterLength);
    return;
  }
  if (described / kDescriptor > kMaxDescriptors) {
    Check(command, scsi::kBadParameter);
    return;
  }
  for (size_t at = kHeader; at < kHeader + described; at += kDescriptor) {
    const uint64_t blocks = Be32(&list[at + 8]);
    if (!InRange(Be64(&list[at]), blocks)) {
      Check(command, scsi::kOutOfRange);
      return;
    }
  }
  command.scratch.resize(kHeader + described);
  command.step = kHeader;
  command.moved = length;
  NextUnmap(command);
}

void ScsiDisk::NextUnmap(ScsiCommand& command) {
  auto& self = static_cast<ScsiDisk&>(*command.unit);
  while (command.step < command.scratch.size()) {
    const uint8_t* const descriptor = &command.scratch[command.step];
    command.step += 16;
    const uint64_t blocks = Be32(descriptor + 8);
    if (blocks == 0) {
      continue;
    }
    command.disk.io = {};
    command.disk.io.op = BlockRequest::Op::kDiscard;
    command.disk.io.offset = Be64(descriptor) * self.block_bytes();
    command.disk.io.bytes = blocks * self.block_bytes();
    self.Transfer(command, NextUnmap);
    return;
  }
  self.Good(command, command.moved);
}

// SBC-3, 5.16 and 5.17.
void ScsiDisk::ReadCapacity(ScsiCommand& command, bool sixteen) {
  const uint64_t last = total_blocks() == 0 ? 0 : total_blocks() - 1;
  if (!sixteen) {
    std::array<uint8_t, 8> reply{};
    PutBe(reply.data(), std::min<uint64_t>(last, UINT32_MAX), 4);
    PutBe(&reply[4], block_bytes(), 4);
    Reply(command, reply, reply.size());
    return;
  }
  std::array<uint8_t, 32> reply{};
  PutBe(reply.data(), last, 8);
  PutBe(&reply[8], block_bytes(), 4);
  reply[13] = static_cast<uint8_t>(std::countr_zero(config_.physical_block_size / block_bytes()));
  reply[14] = config_.discard_granularity_bytes != 0 ? 0x80 : 0;  // LBPME: blocks can be unmapped
  Reply(command, reply, Be32(&command.cdb[10]));
}

// SBC-3, 6.6.
bool ScsiDisk::VpdPage(uint8_t page, std::vector<uint8_t>* body) {
  const uint32_t block = block_bytes();
  const size_t start = body->size() - 4;
  const auto put = [&](size_t at, uint64_t value, unsigned bytes) { PutBe(&(*body)[start + at], value, bytes); };
  switch (page) {
    case 0xb0:  // block limits
      body->resize(start + 64);
      put(4, 1, 1);  // WSNZ
      put(6, config_.min_io_bytes / block, 2);
      put(8, config_.max_io_bytes / block, 4);
      put(12, config_.opt_io_bytes / block, 4);
      if (config_.discard_granularity_bytes != 0) {
        put(20, config_.max_unmap_bytes / block, 4);
        put(24, 255, 4);  // descriptors
        put(28, std::max<uint32_t>(config_.discard_granularity_bytes / block, 1), 4);
      }
      put(36, config_.max_io_bytes / block, 8);
      return true;
    case 0xb1:  // characteristics
      body->resize(start + 64);
      put(4, config_.rotation_rate, 2);
      return true;
    case 0xb2:  // provisioning: UNMAP and both WRITE SAMEs, thin
      body->resize(start + 8);
      put(5, config_.discard_granularity_bytes != 0 ? 0xe0 : 0, 1);
      put(6, config_.discard_granularity_bytes != 0 ? 2 : 1, 1);
      return true;
    default: return false;
  }
}

// The geometry that old systems ask for: 16 heads of 63 sectors.
bool ScsiDisk::ModePage(uint8_t page, bool changeable, std::vector<uint8_t>* out) {
  const uint64_t cylinders = std::clamp<uint64_t>(disk().size_bytes() / 512 / (16 * 63), 2, 16383);
  const size_t start = out->size();
  const auto begin = [&](uint8_t bytes) {
    out->resize(start + 2 + bytes);
    (*out)[start] = page;
    (*out)[start + 1] = bytes;
    return out->data() + start + 2;
  };
  switch (page) {
    case 0x01: {  // read-write error recovery
      uint8_t* const body = begin(0x0a);
      body[0] = changeable ? 0 : 0x80;  // AWRE
      return true;
    }
    case 0x04: {  // rigid disk geometry
      uint8_t* const body = begin(0x16);
      if (!changeable) {
        PutBe(body, cylinders, 3);
        body[3] = 16;
        PutBe(body + 4, cylinders, 3);  // write precompensation and
        PutBe(body + 7, cylinders, 3);  // reduced current: never
        PutBe(body + 10, 200, 2);       // step rate
        PutBe(body + 12, 0xffffff, 3);  // landing zone
        PutBe(body + 18, 5400, 2);      // rotations a minute
      }
      return true;
    }
    case 0x05: {  // flexible disk geometry
      uint8_t* const body = begin(0x1e);
      if (!changeable) {
        PutBe(body, 5000, 2);  // transfer rate
        body[2] = 16;
        body[3] = 63;
        PutBe(body + 4, block_bytes(), 2);
        PutBe(body + 6, cylinders, 2);
        PutBe(body + 8, cylinders, 2);
        PutBe(body + 10, cylinders, 2);
        PutBe(body + 12, 1, 2);
        body[14] = 1;
        PutBe(body + 15, 1, 2);
        body[17] = body[18] = 1;
        PutBe(body + 26, 5400, 2);
      }
      return true;
    }
    case 0x08: {  // caching
      uint8_t* const body = begin(0x12);
      body[0] = changeable || write_cache_ ? 0x04 : 0;  // WCE
      return true;
    }
    default: return false;
  }
}

bool ScsiDisk::ModeSelect(uint8_t page, std::span<const uint8_t> body) {
  if (page == 0x08) {
    write_cache_ = (body[0] & 0x04) != 0;
  }
  return true;
}

}  // namespace nandu

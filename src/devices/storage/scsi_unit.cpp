#include "devices/storage/scsi_unit.h"

#include <algorithm>
#include <cerrno>

#include "devices/storage/bytes.h"
#include "devices/storage/scatter.h"

namespace nandu {

using scsi::Op;

namespace {

constexpr size_t kMaxAttentions = 8;
constexpr size_t kMaxParameterBytes = 4096;  // of MODE SELECT; what a guest names beyond is refused

void PutText(uint8_t* at, std::string_view text, size_t bytes) {
  std::fill_n(at, bytes, uint8_t{' '});
  std::copy_n(text.begin(), std::min(text.size(), bytes), at);
}

}  // namespace

Result<> Validate(const ScsiUnitState& state) {
  if (state.attention.size() > kMaxAttentions) {
    return Fail(Errc::kCorrupt, "{} unit attentions, there are at most {}", state.attention.size(),
                kMaxAttentions);
  }
  return {};
}

ScsiUnit::ScsiUnit(std::shared_ptr<DiskFront> disk, ScsiIdentity identity, uint32_t block_bytes)
    : disk_(std::move(disk)), identity_(std::move(identity)), block_bytes_(block_bytes) {}

void ScsiUnit::Reset() {
  attention_.clear();
  last_sense_ = scsi::kNoSense;
  if (dialect() == Dialect::kScsi) {
    attention_.push_back(scsi::kPowerOn);
  }
}

void ScsiUnit::Attention(const scsi::Sense& sense) {
  const bool there = std::find(attention_.begin(), attention_.end(), sense) != attention_.end();
  if (!there && attention_.size() < kMaxAttentions) {
    attention_.push_back(sense);
  }
}

ScsiUnitState ScsiUnit::Save() const {
  ScsiUnitState state;
  for (const scsi::Sense& sense : attention_) {
    state.attention.push_back({sense.key, sense.code, sense.qualifier});
  }
  state.sense = {last_sense_.key, last_sense_.code, last_sense_.qualifier};
  state.write_cache = write_cache_;
  state.has_medium = disk_->has_medium();
  state.size_bytes = removable() ? 0 : disk_->size_bytes();
  return state;
}

Result<> ScsiUnit::Load(const ScsiUnitState& state) {
  if (!removable() && state.size_bytes != disk_->size_bytes()) {
    return Fail(Errc::kCorrupt, "the guest's disk has {} bytes, the image {}; give it the image it was saved with",
                state.size_bytes, disk_->size_bytes());
  }
  attention_.clear();
  for (const ScsiSenseState& sense : state.attention) {
    attention_.push_back({sense.key, sense.code, sense.qualifier});
  }
  last_sense_ = {state.sense.key, state.sense.code, state.sense.qualifier};
  write_cache_ = state.write_cache;
  return {};
}

void ScsiUnit::Good(ScsiCommand& command, uint64_t moved) {
  command.status = scsi::Status::kGood;
  command.moved = moved;
  if (Op{command.cdb[0]} != Op::kRequestSense) {
    last_sense_ = scsi::kNoSense;
  }
  command.done(&command);
}

void ScsiUnit::Check(ScsiCommand& command, const scsi::Sense& sense) {
  counters_.unknown.Add(sense == scsi::kUnknownCommand ? 1 : 0);
  counters_.bad_fields.Add(sense == scsi::kBadField || sense.code == 0x26 || sense.code == 0x1a ? 1 : 0);
  counters_.out_of_range.Add(sense == scsi::kOutOfRange ? 1 : 0);
  counters_.not_ready.Add(sense == scsi::kNoMedium ? 1 : 0);
  command.status = scsi::Status::kCheckCondition;
  command.sense = last_sense_ = sense;
  command.moved = 0;
  command.done(&command);
}

void ScsiUnit::Reply(ScsiCommand& command, std::span<const uint8_t> bytes, uint64_t allocation) {
  const auto wanted = static_cast<size_t>(std::min<uint64_t>(bytes.size(), allocation));
  Good(command, CopyInto(command.in, 0, bytes.data(), wanted));
}

std::vector<uint8_t> ScsiUnit::GatherOut(const ScsiCommand& command, size_t at_most) const {
  std::vector<uint8_t> bytes(static_cast<size_t>(std::min<uint64_t>(BytesOf(command.out), at_most)));
  CopyFrom(command.out, 0, bytes.data(), bytes.size());
  return bytes;
}

void ScsiUnit::Transfer(ScsiCommand& command, void (*next)(ScsiCommand& command)) {
  command.next = next;
  command.disk.owner = &command;
  command.disk.done = OnDisk;
  disk_->Submit(&command.disk);
}

void ScsiUnit::Flush(ScsiCommand& command, void (*next)(ScsiCommand& command)) {
  command.disk.io = {};
  command.disk.io.op = BlockRequest::Op::kFlush;
  Transfer(command, next);
}

void ScsiUnit::OnDisk(DiskRequest* request, DiskResult result) {
  ScsiCommand& command = *static_cast<ScsiCommand*>(request->owner);
  switch (result) {
    case DiskResult::kOk: command.next(command); return;
    case DiskResult::kParked:
      command.parked = true;
      command.done(&command);
      return;
    case DiskResult::kUnsupported: command.unit->Check(command, scsi::kUnknownCommand); return;
    case DiskResult::kFailed: break;
  }
  if (!command.unit->disk_->has_medium()) {
    command.unit->Check(command, scsi::kNoMedium);
    return;
  }
  const bool is_read = request->io.op == BlockRequest::Op::kRead;
  command.unit->Check(command, is_read                                   ? scsi::kReadError
                               : request->io.sys_errno == ENOSPC         ? scsi::kNoSpace
                                                                         : scsi::kWriteError);
}

void ScsiUnit::ReadBlocks(ScsiCommand& command) {
  if (!InRange(command.lba, command.blocks)) {
    Check(command, scsi::kOutOfRange);
    return;
  }
  if (command.blocks == 0) {
    Good(command);
    return;
  }
  const uint64_t bytes = command.blocks * block_bytes_;
  if (BytesOf(command.in) < bytes) {
    counters_.overruns.Add();
    command.overrun = true;
    Good(command);
    return;
  }
  Slice(command.in, 0, bytes, &command.pieces);
  command.disk.io = {};
  command.disk.io.op = BlockRequest::Op::kRead;
  command.disk.io.offset = command.lba * block_bytes_;
  command.disk.io.bytes = command.moved = bytes;
  command.disk.io.iov = command.pieces;
  Transfer(command, Done);
}

void ScsiUnit::Execute(ScsiCommand* command) {
  counters_.commands.Add();
  command->unit = this;
  command->status = scsi::Status::kGood;
  command->sense = scsi::kNoSense;
  command->moved = 0;
  command->overrun = command->parked = false;
  command->step = 0;
  const Op op{command->cdb[0]};
  // SPC-4, 5.14: INQUIRY, REPORT LUNS and REQUEST SENSE are answered in spite of a unit attention. MMC-5, 6.5.1:
  // so are GET CONFIGURATION and GET EVENT STATUS NOTIFICATION.
  const bool in_spite = op == Op::kInquiry || op == Op::kReportLuns || op == Op::kRequestSense ||
                        op == Op::kGetConfiguration || op == Op::kGetEventStatus;
  if (!in_spite && !attention_.empty()) {
    const scsi::Sense sense = attention_.front();
    attention_.pop_front();
    Check(*command, sense);
    return;
  }
  switch (op) {
    case Op::kInquiry: Inquiry(*command); return;
    case Op::kRequestSense: RequestSense(*command); return;
    case Op::kModeSense6: dialect() == Dialect::kScsi ? ModeSense(*command, false) : Dispatch(*command); return;
    case Op::kModeSense10: ModeSense(*command, true); return;
    case Op::kModeSelect6: dialect() == Dialect::kScsi ? ModeSelectCommand(*command, false) : Dispatch(*command); return;
    case Op::kModeSelect10: dialect() == Dialect::kScsi ? ModeSelectCommand(*command, true) : Dispatch(*command); return;
    default: Dispatch(*command);
  }
}

// SPC-4, 6.4.2.
void ScsiUnit::Inquiry(ScsiCommand& command) {
  if ((command.cdb[1] & 1) != 0) {
    InquiryVpd(command);
    return;
  }
  if (command.cdb[2] != 0) {
    Check(command, scsi::kBadField);
    return;
  }
  const bool atapi = dialect() == Dialect::kAtapi;
  const uint16_t allocation = atapi ? command.cdb[4] : Be16(&command.cdb[3]);
  std::vector<uint8_t> reply(atapi ? 36 : std::clamp<size_t>(allocation, 36, 256));
  reply[0] = device_type();
  reply[1] = removable() ? 0x80 : 0;
  reply[2] = atapi ? 0x00 : 0x05;  // the version claimed: none, or SPC-3
  reply[3] = atapi ? 0x21 : 0x12;
  reply[4] = static_cast<uint8_t>(reply.size() - 5);
  reply[7] = atapi ? 0x00 : 0x12;
  PutText(&reply[8], identity_.vendor, 8);
  PutText(&reply[16], identity_.product, 16);
  PutText(&reply[32], identity_.version, 4);
  Reply(command, reply, allocation);
}

// SPC-4, 7.8.
void ScsiUnit::InquiryVpd(ScsiCommand& command) {
  const uint8_t page = command.cdb[2];
  std::vector<uint8_t> reply = {device_type(), page, 0, 0};
  const auto add = [&reply](std::initializer_list<uint8_t> bytes) { reply.insert(reply.end(), bytes); };
  const auto text = [&reply](std::string_view value) { reply.insert(reply.end(), value.begin(), value.end()); };
  const bool has_serial = !identity_.serial.empty() && dialect() == Dialect::kScsi;
  switch (page) {
    case 0x00:
      add({0x00});
      if (has_serial) {
        add({0x80});
      }
      add({0x83});
      for (const uint8_t more : VpdPages()) {
        add({more});
      }
      break;
    case 0x80:
      if (!has_serial) {
        Check(command, scsi::kBadField);
        return;
      }
      text(identity_.serial);
      break;
    case 0x83: {
      const auto naa = [&](uint8_t association, uint64_t value) {
        add({static_cast<uint8_t>(association | 0x01), static_cast<uint8_t>(association | 0x03), 0, 8});
        reply.resize(reply.size() + 8);
        PutBe(&reply[reply.size() - 8], value, 8);
      };
      if (!identity_.device_id.empty()) {
        add({0x02, 0x00, 0x00, static_cast<uint8_t>(identity_.device_id.size())});
        text(identity_.device_id);
      }
      if (identity_.wwn != 0) {
        naa(0x00, identity_.wwn);
      }
      if (identity_.port_wwn != 0) {
        add({0x61, 0x93, 0, 8});  // SAS, of the port, NAA
        reply.resize(reply.size() + 8);
        PutBe(&reply[reply.size() - 8], identity_.port_wwn, 8);
      }
      if (identity_.port_index != 0) {
        add({0x61, 0x94, 0, 4, 0, 0, static_cast<uint8_t>(identity_.port_index >> 8),
             static_cast<uint8_t>(identity_.port_index)});
      }
      break;
    }
    default:
      if (!VpdPage(page, &reply)) {
        Check(command, scsi::kBadField);
        return;
      }
  }
  PutBe(&reply[2], reply.size() - 4, 2);
  Reply(command, reply, dialect() == Dialect::kAtapi ? command.cdb[4] : Be16(&command.cdb[3]));
}

// SPC-4, 6.39. Over SCSI sense travels with its command; what is left to tell here is a unit attention.
void ScsiUnit::RequestSense(ScsiCommand& command) {
  scsi::Sense sense = dialect() == Dialect::kAtapi ? last_sense_ : scsi::kNoSense;
  if (sense == scsi::kNoSense && !attention_.empty()) {
    sense = attention_.front();
    attention_.pop_front();
  }
  if ((command.cdb[1] & 1) != 0 && dialect() == Dialect::kScsi) {  // the descriptor format
    const std::array<uint8_t, 8> bytes = {0x72, sense.key, sense.code, sense.qualifier, 0, 0, 0, 0};
    Reply(command, bytes, command.cdb[4]);
    return;
  }
  Reply(command, SenseBytes(sense, dialect() == Dialect::kAtapi ? 0xf0 : 0x70), command.cdb[4]);
}

// SPC-4, 6.13 and 6.14.
void ScsiUnit::ModeSense(ScsiCommand& command, bool ten) {
  const uint8_t control = command.cdb[2] >> 6;
  const uint8_t wanted = command.cdb[2] & 0x3f;
  constexpr uint8_t kAllPages = 0x3f;
  if (control == 3) {
    Check(command, scsi::kSavingNotSupported);
    return;
  }
  if (dialect() == Dialect::kAtapi && (control != 0 || wanted == kAllPages)) {
    Check(command, scsi::kBadField);
    return;
  }
  std::vector<uint8_t> reply(ten ? 8 : 4);
  const bool descriptor = (command.cdb[1] & 8) == 0 && has_block_descriptor();
  if (descriptor) {
    const size_t at = reply.size();
    reply.resize(at + 8);
    const uint64_t blocks = total_blocks();
    PutBe(&reply[at + 1], blocks > 0xffffff ? 0 : blocks, 3);
    PutBe(&reply[at + 5], block_bytes_, 3);
  }
  bool found = wanted == kAllPages;
  for (const uint8_t page : ModePages()) {
    if (wanted == kAllPages || wanted == page) {
      found = ModePage(page, control == 1, &reply) || found;
    }
  }
  if (!found) {
    Check(command, scsi::kBadField);
    return;
  }
  // The length counts what follows it.
  if (ten) {
    PutBe(reply.data(), reply.size() - 2, 2);
    reply[2] = medium_type();
    reply[3] = mode_parameter();
    reply[7] = descriptor ? 8 : 0;
  } else {
    reply[0] = static_cast<uint8_t>(reply.size() - 1);
    reply[1] = medium_type();
    reply[2] = mode_parameter();
    reply[3] = descriptor ? 8 : 0;
  }
  Reply(command, reply, ten ? Be16(&command.cdb[7]) : command.cdb[4]);
}

// SPC-4, 6.11 and 6.12. Each page is checked before it takes effect.
void ScsiUnit::ModeSelectCommand(ScsiCommand& command, bool ten) {
  const size_t length = ten ? Be16(&command.cdb[7]) : command.cdb[4];
  if ((command.cdb[1] & 0x11) != 0x10) {  // PF, and not SP
    Check(command, scsi::kBadField);
    return;
  }
  if (length == 0) {
    Good(command);
    return;
  }
  const std::vector<uint8_t> bytes = GatherOut(command, std::min(length, kMaxParameterBytes));
  const size_t header = ten ? 8 : 4;
  if (bytes.size() < length || length < header) {
    Check(command, scsi::kBadParameterLength);
    return;
  }
  const size_t descriptor = ten ? Be16(&bytes[6]) : bytes[3];
  if ((descriptor != 0 && descriptor != 8) || header + descriptor > length) {
    Check(command, scsi::kBadParameter);
    return;
  }
  size_t at = header + descriptor;
  while (at < length) {
    if (length - at < 2) {
      Check(command, scsi::kBadParameterLength);
      return;
    }
    const uint8_t page = bytes[at] & 0x3f;
    const size_t body = bytes[at + 1];
    if ((bytes[at] & 0x40) != 0 || at + 2 + body > length) {  // subpages: none
      Check(command, (bytes[at] & 0x40) != 0 ? scsi::kBadParameter : scsi::kBadParameterLength);
      return;
    }
    // What is not changeable keeps its value (SPC-4, 6.11): everything but the bits ModeSelect takes.
    std::vector<uint8_t> current;
    std::vector<uint8_t> mask;
    if (!ModePage(page, false, &current) || !ModePage(page, true, &mask) || current.size() != body + 2) {
      Check(command, scsi::kBadParameter);
      return;
    }
    for (size_t i = 2; i < current.size(); ++i) {
      if (((bytes[at + i] ^ current[i]) & ~mask[i]) != 0) {
        Check(command, scsi::kBadParameter);
        return;
      }
    }
    if (!ModeSelect(page, std::span(bytes).subspan(at + 2, body))) {
      Check(command, scsi::kBadParameter);
      return;
    }
    at += 2 + body;
  }
  command.moved = length;
  if (!write_cache_) {
    Flush(command, Done);  // what was cached so far is on stable storage before the cache is off
    return;
  }
  Good(command, length);
}

}  // namespace nandu

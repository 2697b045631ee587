#include "devices/storage/scsi_cd.h"

#include <algorithm>

#include "devices/storage/bytes.h"
#include "devices/storage/scatter.h"

namespace nandu {

using scsi::Op;

ScsiCd::ScsiCd(std::shared_ptr<DiskFront> disk, ScsiCdConfig config)
    : ScsiUnit(std::move(disk), config.identity, kBlockBytes), config_(std::move(config)) {
  Reset();
}

void ScsiCd::Reset() {
  ScsiUnit::Reset();
  // The tray stays where it is; a lock does not outlive its owner.
  locked_.store(false, std::memory_order_relaxed);
  new_medium_ = eject_request_ = false;
}

ScsiUnitState ScsiCd::Save() const {
  ScsiUnitState state = ScsiUnit::Save();
  state.locked = locked();
  state.tray_open = tray_open();
  state.new_medium = new_medium_;
  state.eject_request = eject_request_;
  return state;
}

Result<> ScsiCd::Load(const ScsiUnitState& state) {
  if (state.has_medium != disk().has_medium()) {
    return Fail(Errc::kCorrupt, "the guest's drive had {} medium; give it {}", state.has_medium ? "a" : "no",
                state.has_medium ? "the image it was saved with" : "none");
  }
  TRY(ScsiUnit::Load(state));
  locked_.store(state.locked, std::memory_order_relaxed);
  tray_open_.store(state.tray_open, std::memory_order_relaxed);
  new_medium_ = state.new_medium;
  eject_request_ = state.eject_request;
  return {};
}

// What fits on no CD of 80 minutes.
bool ScsiCd::is_dvd() const { return total_blocks() > 80 * 60 * 75; }

void ScsiCd::MoveTray(bool open) {
  if (tray_open() == open) {
    return;
  }
  tray_open_.store(open, std::memory_order_relaxed);
  if (config_.on_tray) {
    config_.on_tray(open);
  }
}

bool ScsiCd::OpenTray(bool force) {
  if (locked() && !force) {
    eject_request_ = true;
    return false;
  }
  // What was asked for has happened: a guest told of the request now would throw out the next medium.
  eject_request_ = false;
  locked_.store(false, std::memory_order_relaxed);
  MoveTray(true);
  return true;
}

void ScsiCd::CloseTray() {
  MoveTray(false);
  eject_request_ = false;
  if (disk().has_medium()) {
    new_medium_ = true;
    Attention(scsi::kMediumChanged);
  }
}

void ScsiCd::Dispatch(ScsiCommand& command) {
  const Op op{command.cdb[0]};
  const auto& cdb = command.cdb;
  // ---- with or without a medium ----
  switch (op) {
    case Op::kPreventAllow:
      locked_.store((cdb[4] & 1) != 0, std::memory_order_relaxed);
      Good(command);
      return;
    case Op::kStartStopUnit: StartStop(command); return;
    case Op::kGetConfiguration: GetConfiguration(command); return;
    case Op::kGetEventStatus: GetEventStatus(command); return;
    case Op::kMechanismStatus: MechanismStatus(command); return;
    case Op::kReserve6:
    case Op::kRelease6:
      config_.atapi ? Check(command, scsi::kUnknownCommand) : Good(command);
      return;
    case Op::kTestUnitReady:
    case Op::kReadCapacity10:
    case Op::kReadToc:
    case Op::kReadDiscInformation:
    case Op::kReadDvdStructure:
    case Op::kRead10:
    case Op::kRead12:
    case Op::kReadCd:
    case Op::kSeek10:
    case Op::kSetCdSpeed:
    case Op::kSynchronizeCache10: break;
    default: Check(command, scsi::kUnknownCommand); return;
  }
  if (!ready()) {
    Check(command, scsi::kNoMedium);
    return;
  }
  switch (op) {
    case Op::kReadCapacity10: ReadCapacity(command); return;
    case Op::kReadToc: ReadToc(command); return;
    case Op::kReadDiscInformation: ReadDiscInformation(command); return;
    case Op::kReadDvdStructure: ReadDvdStructure(command); return;
    case Op::kRead10:
    case Op::kRead12: Read(command); return;
    case Op::kReadCd: ReadCd(command); return;
    case Op::kSeek10: InRange(Be32(&cdb[2]), 0) ? Good(command) : Check(command, scsi::kOutOfRange); return;
    default: Good(command);  // TEST UNIT READY, SET CD SPEED, SYNCHRONIZE CACHE
  }
}

void ScsiCd::Read(ScsiCommand& command) {
  command.lba = Be32(&command.cdb[2]);
  command.blocks = Op{command.cdb[0]} == Op::kRead10 ? Be16(&command.cdb[7]) : Be32(&command.cdb[6]);
  // A carrier's buffer is below this; what is above cannot be meant.
  if (command.blocks > (uint64_t{1} << 31) / kBlockBytes) {
    Check(command, scsi::kBadField);
    return;
  }
  ReadBlocks(command);
}

// MMC-5, 6.42.
void ScsiCd::StartStop(ScsiCommand& command) {
  const bool start = (command.cdb[4] & 1) != 0;
  const bool load_eject = (command.cdb[4] & 2) != 0;
  if ((command.cdb[4] & 0xf0) != 0 || !load_eject) {
    Good(command);  // a power condition, or the motor: nothing to do
    return;
  }
  if (!start && locked() && !tray_open()) {
    Check(command, disk().has_medium() && !config_.atapi ? scsi::kRemovalPrevented
                                                         : scsi::kNotReadyRemovalPrevented);
    return;
  }
  if (start && tray_open()) {
    CloseTray();
  } else {
    MoveTray(!start);
    eject_request_ = false;
  }
  Good(command);
}

// MMC-5, 6.22.
void ScsiCd::ReadCapacity(ScsiCommand& command) {
  std::array<uint8_t, 8> reply{};
  PutBe(reply.data(), total_blocks() == 0 ? 0 : total_blocks() - 1, 4);
  PutBe(&reply[4], kBlockBytes, 4);
  Reply(command, reply, reply.size());
}

// MMC-5, 6.13.
void ScsiCd::MechanismStatus(ScsiCommand& command) {
  const std::array<uint8_t, 8> reply = {0, static_cast<uint8_t>(tray_open() ? 0x10 : 0), 0, 0, 0, 1, 0, 0};
  Reply(command, reply, Be16(&command.cdb[8]));
}

// MMC-5, 6.5: the drive reads CDs and DVDs; which of the two is in it follows from its size.
void ScsiCd::GetConfiguration(ScsiCommand& command) {
  const unsigned wanted = command.cdb[1] & 3;
  const unsigned from = Be16(&command.cdb[2]);
  if (wanted == 3) {
    Check(command, scsi::kBadField);
    return;
  }
  const bool dvd = ready() && is_dvd();
  const bool cd = ready() && !is_dvd();
  std::vector<uint8_t> reply(8);
  PutBe(&reply[6], dvd ? 0x10 : cd ? 0x08 : 0, 2);
  const auto feature = [&](unsigned code, std::vector<uint8_t> bytes) {
    if (wanted == 2 ? code == from : code >= from) {
      reply.insert(reply.end(), bytes.begin(), bytes.end());
    }
  };
  feature(0, {0, 0, 0x03, 8, 0, 0x10, static_cast<uint8_t>(dvd ? 1 : 0), 0, 0, 0x08,
              static_cast<uint8_t>(cd ? 1 : 0), 0});
  if (!config_.atapi) {
    feature(1, {0, 1, 0x0b, 8, 0, 0, 0, 1, 1, 0, 0, 0});  // core: SCSI
    feature(3, {0, 3, 0x0b, 4, 0x39, 0, 0, 0});           // removable: a tray, with lock and eject
  }
  PutBe(reply.data(), reply.size() - 4, 4);
  Reply(command, reply, Be16(&command.cdb[7]));
}

// MMC-5, 6.6.
void ScsiCd::GetEventStatus(ScsiCommand& command) {
  constexpr uint8_t kMediaClass = 4;
  const uint16_t allocation = Be16(&command.cdb[7]);
  if ((command.cdb[1] & 1) == 0) {  // asynchronous: not supported
    Check(command, scsi::kBadField);
    return;
  }
  if ((command.cdb[4] & (1 << kMediaClass)) == 0) {
    const std::array<uint8_t, 4> none = {0, 0, 0x80, 1 << kMediaClass};
    Reply(command, none, allocation);
    return;
  }
  std::array<uint8_t, 8> reply = {0, 4, kMediaClass, 1 << kMediaClass};
  if (allocation > 4) {
    if (new_medium_) {
      reply[4] = 2;
    } else if (eject_request_) {
      reply[4] = 1;
    }
    new_medium_ = eject_request_ = false;  // told once
    reply[5] = static_cast<uint8_t>((tray_open() ? 1 : 0) | (ready() ? 2 : 0));
  }
  Reply(command, reply, allocation);
}

std::vector<uint8_t> ScsiCd::ModePages() const {
  return config_.atapi ? std::vector<uint8_t>{0x01, 0x0e, 0x2a} : std::vector<uint8_t>{0x01, 0x08, 0x0e, 0x2a};
}

// MMC-5, 7; the capabilities page: MMC-3, 5.5.10.
bool ScsiCd::ModePage(uint8_t page, bool changeable, std::vector<uint8_t>* out) {
  const size_t start = out->size();
  const auto begin = [&](uint8_t bytes) {
    out->resize(start + 2 + bytes);
    (*out)[start] = page;
    (*out)[start + 1] = bytes;
    return out->data() + start + 2;
  };
  const bool atapi = config_.atapi;
  switch (page) {
    case 0x01: {  // read error recovery
      uint8_t* const body = begin(atapi ? 0x06 : 0x0a);
      if (!changeable) {
        body[0] = atapi ? 0x00 : 0x80;
        body[1] = atapi ? 0x05 : 0x20;  // retries
      }
      return true;
    }
    case 0x08:
      if (!atapi) {
        begin(0x12)[0] = changeable ? 0 : 0x04;
      }
      return !atapi;
    case 0x0e: begin(0x0e); return true;  // audio control
    case 0x2a: {                          // capabilities
      static constexpr uint8_t kScsi[20] = {0x3b, 0x00, 0x7f, 0xff, 0x2d, 0x00, 0x22, 0x60, 0x00, 0x02,
                                            0x08, 0x00, 0x0b, 0x00, 0x00, 0x00, 0x0b, 0x00, 0x0b, 0x00};
      static constexpr uint8_t kAtapi[20] = {0x3b, 0x00, 0x71, 0x60, 0x29, 0x00, 0x02, 0xc0, 0x00, 0x02,
                                             0x02, 0x00, 0x02, 0xc0};
      uint8_t* const body = begin(0x14);
      if (!changeable) {
        std::copy_n(atapi ? kAtapi : kScsi, 20, body);
        body[4] = static_cast<uint8_t>(body[4] | (locked() ? 0x02 : 0));
      }
      return true;
    }
    default: return false;
  }
}

}  // namespace nandu

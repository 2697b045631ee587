// What a CD-ROM drive tells of the medium in it: its table of contents, its information, raw sectors.
#include <algorithm>

#include "devices/storage/bytes.h"
#include "devices/storage/scatter.h"
#include "devices/storage/scsi_cd.h"

namespace nandu {
namespace {

constexpr uint8_t kDataTrack = 0x14;  // ADR 1, a data track
constexpr uint8_t kLeadOut = 0xaa;
constexpr uint64_t kPregapFrames = 150;
constexpr size_t kRawBytes = 2352;

// MMC-5, 4.2.3.7.2: minutes, seconds and frames of an address.
void PutMsf(uint8_t* at, uint64_t lba) {
  const uint64_t frames = lba + kPregapFrames;
  at[0] = static_cast<uint8_t>(frames / 75 / 60);
  at[1] = static_cast<uint8_t>(frames / 75 % 60);
  at[2] = static_cast<uint8_t>(frames % 75);
}

void PutAddress(std::vector<uint8_t>* reply, uint64_t lba, bool msf) {
  std::array<uint8_t, 4> bytes{};
  if (msf) {
    PutMsf(&bytes[1], lba);
  } else {
    PutBe(bytes.data(), lba, 4);
  }
  reply->insert(reply->end(), bytes.begin(), bytes.end());
}

}  // namespace

// MMC-5, 6.26: one session with one data track.
void ScsiCd::ReadToc(ScsiCommand& command) {
  const bool msf = (command.cdb[1] & 2) != 0;
  const uint8_t first = command.cdb[6];
  // SFF-8020 drivers have the format in the last byte.
  const unsigned format = (command.cdb[2] & 0x0f) != 0 ? command.cdb[2] & 0x0f : command.cdb[9] >> 6;
  std::vector<uint8_t> reply = {0, 0, 1, 1};
  const auto add = [&reply](std::initializer_list<uint8_t> bytes) { reply.insert(reply.end(), bytes); };
  switch (format) {
    case 0:
      if (first > 1 && first != kLeadOut) {
        Check(command, scsi::kBadField);
        return;
      }
      if (first <= 1) {
        add({0, kDataTrack, 1, 0});
        PutAddress(&reply, 0, msf);
      }
      add({0, 0x16, kLeadOut, 0});
      PutAddress(&reply, total_blocks(), msf);
      break;
    case 1: add({0, 0, 0, 0, 0, 0, 0, 0}); break;
    case 2:
      for (const uint8_t point : {uint8_t{0xa0}, uint8_t{0xa1}}) {  // the first and the last track's number
        add({1, kDataTrack, 0, point, 0, 0, 0, 0, 1, 0, 0});
      }
      add({1, kDataTrack, 0, 0xa2, 0, 0, 0});
      PutAddress(&reply, total_blocks(), msf);
      add({1, kDataTrack, 0, 1, 0, 0, 0});
      PutAddress(&reply, 0, msf);
      break;
    default: Check(command, scsi::kBadField); return;
  }
  PutBe(reply.data(), reply.size() - 2, 2);
  Reply(command, reply, Be16(&command.cdb[7]));
}

// MMC-5, 6.21: complete, one session, not erasable.
void ScsiCd::ReadDiscInformation(ScsiCommand& command) {
  if ((command.cdb[1] & 7) != 0) {
    Check(command, scsi::kBadField);
    return;
  }
  const std::array<uint8_t, 34> reply = {0, 32, 0x0e, 1, 1, 1, 1, 0x20};
  Reply(command, reply, Be16(&command.cdb[7]));
}

// MMC-5, 6.22.
void ScsiCd::ReadDvdStructure(ScsiCommand& command) {
  const uint8_t format = command.cdb[7];
  const bool blu_ray = (command.cdb[1] & 0x0f) != 0;
  const uint16_t allocation = Be16(&command.cdb[8]);
  if (blu_ray) {
    Check(command, scsi::kBadField);
    return;
  }
  if (format == 0xff) {
    const std::array<uint8_t, 20> list = {0, 18, 0,    0, 0x00, 0x40, 0x08, 0x04, 0x01, 0x40,
                                          0, 8,  0x03, 0x40, 0x00, 0xc0, 0x04, 0x40, 0x08, 0x04};
    Reply(command, list, allocation);
    return;
  }
  if (!is_dvd()) {
    Check(command, scsi::kIncompatibleMedium);
    return;
  }
  std::vector<uint8_t> reply;
  switch (format) {
    case 0x00:  // physical format: DVD-ROM, one layer of 120 mm
      reply.resize(2052);
      reply[4] = 0x01;
      reply[5] = 0x0f;
      reply[6] = 0x01;
      PutBe(&reply[8], 0, 4);
      PutBe(&reply[12], total_blocks() - 1, 4);
      PutBe(&reply[16], total_blocks() - 1, 4);
      break;
    case 0x01: reply.resize(8); break;     // copyright: none
    case 0x04: reply.resize(2052); break;  // the manufacturer has nothing to say
    default: Check(command, scsi::kBadField); return;
  }
  PutBe(reply.data(), reply.size() - 2, 2);
  Reply(command, reply, allocation);
}

// MMC-5, 6.20: data alone, or whole raw sectors with the header and an empty correction code.
void ScsiCd::ReadCd(ScsiCommand& command) {
  command.lba = Be32(&command.cdb[2]);
  command.blocks = Be24(&command.cdb[6]);
  const uint8_t parts = command.cdb[9] & 0xf8;
  if (command.blocks == 0 || parts == 0) {
    Good(command);
    return;
  }
  if (parts == 0x10) {
    ReadBlocks(command);
    return;
  }
  if (parts != 0xf8) {
    Check(command, scsi::kBadField);
    return;
  }
  if (!InRange(command.lba, command.blocks)) {
    Check(command, scsi::kOutOfRange);
    return;
  }
  if (BytesOf(command.in) < command.blocks * kRawBytes) {
    counters_.overruns.Add();
    command.overrun = true;
    Good(command);
    return;
  }
  command.scratch.assign(kRawBytes, 0);
  command.pieces.assign(1, {command.scratch.data() + 16, kBlockBytes});
  command.disk.io = {};
  command.disk.io.op = BlockRequest::Op::kRead;
  command.disk.io.offset = command.lba * kBlockBytes;
  command.disk.io.bytes = kBlockBytes;
  command.disk.io.iov = command.pieces;
  Transfer(command, FrameCd);
}

// One sector was read: its frame around it, and on to the next.
void ScsiCd::FrameCd(ScsiCommand& command) {
  auto& self = static_cast<ScsiCd&>(*command.unit);
  uint8_t* const sector = command.scratch.data();
  std::fill_n(sector + 1, 10, uint8_t{0xff});  // synchronisation
  PutMsf(sector + 12, command.lba);
  sector[15] = 1;  // mode 1
  CopyInto(command.in, command.step * kRawBytes, sector, kRawBytes);
  ++command.step;
  ++command.lba;
  if (command.step == command.blocks) {
    self.Good(command, command.blocks * kRawBytes);
    return;
  }
  command.disk.io.offset = command.lba * kBlockBytes;
  self.Transfer(command, FrameCd);
}

}  // namespace nandu

#include "devices/storage/atapi_drive.h"

#include <algorithm>

#include "devices/storage/bytes.h"
#include "devices/storage/scatter.h"

namespace nandu {

using ata::Op;

AtapiDrive::AtapiDrive(std::shared_ptr<ScsiCd> cd, AtaIdentity identity)
    : cd_(std::move(cd)), identity_(std::move(identity)) {}

void AtapiDrive::Reset() {
  state_ = {};
  cd_->Reset();
}

AtaDriveState AtapiDrive::Save() const {
  AtaDriveState state = state_;
  state.unit = cd_->Save();
  return state;
}

Result<> AtapiDrive::Load(const AtaDriveState& state) {
  TRY(cd_->Load(state.unit));
  state_ = state;
  return {};
}

void AtapiDrive::Answer(AtaCommand& command, uint8_t status, uint8_t error) {
  command.status = status;
  command.error = error;
  command.done(&command);
}

void AtapiDrive::Execute(AtaCommand* command) {
  command->drive = this;
  command->protocol = AtaProtocol::kNoData;
  command->out = command->in;
  command->moved = 0;
  command->to_memory = command->parked = false;
  switch (Op{command->in.command}) {
    case Op::kPacket: Packet(*command); return;
    case Op::kIdentifyPacket: Identify(*command); return;
    case Op::kDeviceReset:
      cd_->Reset();
      Answer(*command, 0, 1);
      return;
    case Op::kSetFeatures:
      if ((command->in.feature & 0xff) == 0x03) {
        const unsigned kind = command->in.count >> 3 & 0x1f;
        state_.dma_kind = kind == 8 ? 88 : kind == 4 ? 63 : state_.dma_kind;
        state_.dma_mode = kind > 1 ? static_cast<uint16_t>(0x100u << (command->in.count & 7)) : uint16_t{0};
      }
      Answer(*command, ata::kStatusGood, 0);
      return;
    case Op::kStandbyImmediate:
    case Op::kIdleImmediate:
    case Op::kStandby:
    case Op::kIdle:
    case Op::kSleep: Answer(*command, ata::kStatusGood, 0); return;
    case Op::kCheckPower:
      command->out.count = 0xff;
      Answer(*command, ata::kStatusGood, 0);
      return;
    case Op::kIdentify:
      // ATA8-ACS, 7.16.3: aborted, with the signature of a packet device.
      command->out.lba = 0xeb1401;
      [[fallthrough]];
    default: Answer(*command, ata::kStatusReady | ata::kStatusError, ata::kErrorAborted);
  }
}

// ATA8-ACS, 7.17.
void AtapiDrive::Identify(AtaCommand& command) {
  std::array<uint8_t, ata::kSectorBytes> page{};
  const auto word = [&page](unsigned at, unsigned value) { PutLe16(&page[2 * size_t{at}], value); };
  word(0, 0x85c0);  // CD-ROM, removable, packets of 12 bytes
  PutAtaText(&page[20], identity_.serial, 20);
  word(20, 3);
  word(21, 512);
  word(22, 4);
  PutAtaText(&page[46], identity_.version, 8);
  PutAtaText(&page[54], identity_.model, 40);
  word(48, 1);
  word(49, 0x0300);  // DMA, LBA
  word(53, 0x0007);
  word(62, 0x07u | (state_.dma_kind == 62 ? state_.dma_mode : 0u));
  word(63, 0x07u | (state_.dma_kind == 63 ? state_.dma_mode : 0u));
  word(64, 0x03);
  word(65, 180);
  word(66, 180);
  word(67, 300);
  word(68, 180);
  word(71, 30);
  word(72, 30);
  word(75, 31);
  word(76, 0x0100);
  word(80, 0x001e);
  word(84, identity_.wwn != 0 ? 0x0100 : 0);
  word(87, identity_.wwn != 0 ? 0x0100 : 0);
  word(88, 0x3fu | (state_.dma_kind == 88 ? state_.dma_mode : 0u));
  if (identity_.wwn != 0) {
    for (unsigned i = 0; i < 4; ++i) {
      word(108 + i, identity_.wwn >> (48 - 16 * i) & 0xffff);
    }
  }
  command.protocol = AtaProtocol::kPioIn;
  command.to_memory = true;
  command.moved = CopyInto(command.data, 0, page.data(), page.size());
  Answer(command, ata::kStatusGood, 0);
}

void AtapiDrive::Packet(AtaCommand& command) {
  command.protocol = AtaProtocol::kPacket;
  command.to_memory = true;  // none of its commands takes data that matters
  ScsiCommand& packet = command.scsi;
  packet.cdb.fill(0);
  std::copy_n(command.cdb.begin(), 12, packet.cdb.begin());
  packet.in = command.data;
  packet.out = {};
  packet.owner = &command;
  packet.done = OnPacket;
  cd_->Execute(&packet);
}

void AtapiDrive::OnPacket(ScsiCommand* packet) {
  AtaCommand& command = *static_cast<AtaCommand*>(packet->owner);
  auto& self = static_cast<AtapiDrive&>(*command.drive);
  command.parked = packet->parked;
  command.moved = packet->moved;
  // 7.22.5: the interrupt reason says that the command is over, towards the host.
  command.out.count = 3;
  if (packet->overrun) {
    self.Answer(command, ata::kStatusReady | ata::kStatusError, ata::kErrorAborted);
  } else if (packet->status != scsi::Status::kGood) {
    self.Answer(command, ata::kStatusReady | ata::kStatusError, static_cast<uint8_t>(packet->sense.key << 4));
  } else {
    self.Answer(command, ata::kStatusGood, 0);
  }
}

}  // namespace nandu

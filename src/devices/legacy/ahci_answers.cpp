// What a port's engine tells the registers, and what the guest sees of it. Serial ATA AHCI 1.3.1,
// sections 5.3 (commands), 5.4 and 5.5 (data) and 6.2 (errors). The engine's loop.
#include <algorithm>

#include "devices/legacy/ahci_hba.h"
#include "devices/legacy/ahci_registers.h"
#include "devices/storage/ata_wire.h"

namespace nandu {
namespace {

// Serial ATA 3.x, 10.5.6.
std::array<uint8_t, 20> RegisterFis(const AhciHba::Answer& answer) {
  const AtaRegisters& out = answer.out;
  std::array<uint8_t, 20> fis{};
  fis[0] = ahci::kFisDeviceToHost;
  fis[1] = ahci::kFisInterrupt;
  fis[2] = answer.status;
  fis[3] = answer.error;
  for (unsigned i = 0; i < 3; ++i) {
    fis[4 + i] = static_cast<uint8_t>(out.lba >> (8 * i));
    fis[8 + i] = static_cast<uint8_t>(out.lba >> (24 + 8 * i));
  }
  fis[7] = out.device;
  fis[12] = static_cast<uint8_t>(out.count);
  fis[13] = static_cast<uint8_t>(out.count >> 8);
  return fis;
}

// 10.5.11: the last block's, with the status that follows it.
std::array<uint8_t, 20> PioFis(const AhciHba::Answer& answer) {
  std::array<uint8_t, 20> fis = RegisterFis(answer);
  const bool in = answer.protocol == AtaProtocol::kPioIn;
  fis[0] = ahci::kFisPioSetup;
  fis[1] = in ? ahci::kFisInterrupt | ahci::kFisToMemory : 0;
  fis[2] = fis[15] = static_cast<uint8_t>(answer.status | ata::kStatusDataRequest);
  const auto last = static_cast<uint16_t>(std::min<uint64_t>(answer.moved, ata::kSectorBytes));
  fis[16] = static_cast<uint8_t>(last);
  fis[17] = static_cast<uint8_t>(last >> 8);
  return fis;
}

}  // namespace

void AhciHba::Connect(unsigned port, Engine* engine) {
  const MutexLock lock(mutex_);
  live_.at(port) = Live{};
  live_.at(port).engine = engine;
}

void AhciHba::KickAll() {
  const MutexLock lock(mutex_);
  for (unsigned index = 0; index < AhciState::kPorts; ++index) {
    SettleLocked(index);
    if (Engine* const engine = live_.at(index).engine) {
      engine->Kick();
    }
  }
}

AhciHba::Work AhciHba::Take(unsigned index) {
  const MutexLock lock(mutex_);
  AhciPortState& port = state_.ports.at(index);
  Live& live = live_.at(index);
  Work work;
  if (live.resetting) {
    work.reset = live.in_flight == 0;
    return work;
  }
  if ((port.command & ahci::kStart) == 0 || port.failed || !bus_.MayWriteMemory()) {
    return work;
  }
  work.slots = port.issued & ~live.in_flight;
  work.list_base = uint64_t{port.list_base_upper} << 32 | port.list_base;
  work.generation = live.generation;
  live.in_flight |= work.slots;
  return work;
}

void AhciHba::ResetDone(unsigned index) {
  const MutexLock lock(mutex_);
  live_.at(index).resetting = false;
  SettleLocked(index);
}

bool AhciHba::Begin(unsigned index, unsigned slot, uint32_t generation, bool command, bool queued) {
  const MutexLock lock(mutex_);
  AhciPortState& port = state_.ports.at(index);
  if (live_.at(index).generation != generation || port.failed) {
    return false;
  }
  if (queued) {
    port.issued &= ~(1u << slot);  // 5.3.11: a queued command is free of the list once the drive has it
  } else if (command) {
    port.task_file |= ahci::kTaskFileBusy;
  }
  return true;
}

void AhciHba::Finish(unsigned index, const Answer& answer) {
  const MutexLock lock(mutex_);
  AhciPortState& port = state_.ports.at(index);
  Live& live = live_.at(index);
  live.in_flight &= ~(1u << answer.slot);
  if (live.generation == answer.generation) {
    DeliverLocked(port, answer);
    UpdateIrqLocked();
  } else {
    counters_.stale_answers.Add();
  }
  SettleLocked(index);
}

void AhciHba::DeliverLocked(AhciPortState& port, const Answer& answer) {
  const uint32_t bit = 1u << answer.slot;
  switch (answer.kind) {
    case Answer::Kind::kParked:
      port.issued |= bit;
      port.task_file &= ~ahci::kTaskFileBusy;
      return;
    case Answer::Kind::kBusFault:
      port.interrupt_status |= ahci::kHostBusFatal;
      port.task_file &= ~ahci::kTaskFileBusy;
      port.failed = true;
      return;
    case Answer::Kind::kSoftReset:
      port.issued &= ~bit;  // 10.4.1: the FIS was taken; the drive answers when the bit is 0 again
      return;
    case Answer::Kind::kSignature:
      port.issued &= ~bit;
      port.greeted = false;  // delivered anew when this command has left
      return;
    case Answer::Kind::kDone: break;
  }
  const bool failed = (answer.status & ata::kStatusError) != 0;
  port.task_file = answer.status | uint32_t{answer.error} << 8;
  if (answer.protocol == AtaProtocol::kQueued) {
    // Serial ATA 3.x, 10.5.7. With an error the bit stays set.
    const uint32_t done = failed ? 0 : bit;
    const std::array<uint8_t, 8> fis = {ahci::kFisSetDeviceBits,
                                        ahci::kFisInterrupt,
                                        static_cast<uint8_t>(answer.status & 0x77),
                                        answer.error,
                                        static_cast<uint8_t>(done),
                                        static_cast<uint8_t>(done >> 8),
                                        static_cast<uint8_t>(done >> 16),
                                        static_cast<uint8_t>(done >> 24)};
    ReceiveLocked(port, ahci::kReceivedSetDeviceBits, fis);
    port.sata_active &= ~done;
    port.interrupt_status |= ahci::kSetDeviceBits;
  } else {
    const uint64_t list = uint64_t{port.list_base_upper} << 32 | port.list_base;
    const auto moved = static_cast<uint32_t>(answer.moved);
    if (!bus_.WriteMemory(list + ahci::kHeaderBytes * answer.slot + ahci::kHeaderMoved, &moved,
                          sizeof(moved))) {
      counters_.lost_fises.Add();
    }
    const bool pio = answer.protocol == AtaProtocol::kPioIn || answer.protocol == AtaProtocol::kPioOut;
    if (pio && !failed) {
      ReceiveLocked(port, ahci::kReceivedPioSetup, PioFis(answer));
      port.interrupt_status |= answer.protocol == AtaProtocol::kPioIn ? ahci::kPioSetup : 0;
    }
    ReceiveLocked(port, ahci::kReceivedRegisterFis, RegisterFis(answer));
    port.interrupt_status |= ahci::kDeviceToHost;
    port.issued &= failed ? ~0u : ~bit;
  }
  if (failed) {
    port.interrupt_status |= ahci::kTaskFileError;
    port.failed = true;
  }
}

}  // namespace nandu

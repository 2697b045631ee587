#include "devices/legacy/ahci_hba.h"

#include <algorithm>

#include "devices/legacy/ahci_registers.h"

namespace nandu {

Result<> Validate(const AhciState& state) {
  if (state.ports.size() != AhciState::kPorts) {
    return Fail(Errc::kCorrupt, "{} SATA ports, here {}", state.ports.size(), AhciState::kPorts);
  }
  if ((state.index & ~ahci::kIndexMask) != 0) {
    return Fail(Errc::kCorrupt, "register index {:#x} is none", state.index);
  }
  for (const AhciPortState& port : state.ports) {
    constexpr uint32_t kRunning = ahci::kFisRunning | ahci::kListRunning;
    if ((port.command & ~(ahci::kCommandWritable | kRunning)) != 0 ||
        (port.interrupt_enable & ~ahci::kInterruptsThere) != 0) {
      return Fail(Errc::kCorrupt, "a SATA port has reserved bits set");
    }
  }
  return {};
}

uint32_t AhciHba::PendingLocked() const {
  uint32_t ports = 0;
  for (size_t i = 0; i < state_.ports.size(); i++) {
    const AhciPortState& port = state_.ports.at(i);
    ports |= (port.interrupt_status & port.interrupt_enable) != 0 ? 1u << i : 0;
  }
  return ports;
}

void AhciHba::UpdateIrqLocked() { bus_.SetInterrupt(state_.interrupts_enabled && PendingLocked() != 0); }

uint32_t AhciHba::ReadPortLocked(unsigned index, uint64_t offset) {
  const AhciPortState& port = state_.ports.at(index);
  const Live& live = live_.at(index);
  switch (offset) {
    case ahci::kListBase: return port.list_base;
    case ahci::kListBaseUpper: return port.list_base_upper;
    case ahci::kFisBase: return port.fis_base;
    case ahci::kFisBaseUpper: return port.fis_base_upper;
    case ahci::kPortInterruptStatus: return port.interrupt_status;
    case ahci::kPortInterruptEnable: return port.interrupt_enable;
    case ahci::kCommand: return port.command;
    case ahci::kTaskFile: return port.task_file;
    case ahci::kSignature: return port.signature;
    case ahci::kSataStatus: {
      const bool held = (port.sata_control & ahci::kDetection) == ahci::kDetectionReset;
      return live.engine != nullptr && !live.resetting && !held ? ahci::kLinkUp : 0;
    }
    case ahci::kSataError: return 0;  // nothing disturbs this link
    case ahci::kSataControl: return port.sata_control;
    case ahci::kSataActive: return port.sata_active;
    case ahci::kCommandIssue: return port.issued;
    default: counters_.ignored_accesses.Add(); return 0;
  }
}

uint32_t AhciHba::ReadRegisterLocked(uint64_t offset) {
  if (offset >= ahci::kFirstPort) {
    const uint64_t port = (offset - ahci::kFirstPort) / ahci::kPortBytes;
    if (port < state_.ports.size()) {
      return ReadPortLocked(static_cast<unsigned>(port), offset % ahci::kPortBytes);
    }
  }
  switch (offset) {
    case ahci::kCapabilities: return ahci::kCapabilityBits;
    case ahci::kGlobalControl:
      return ahci::kAhciEnable | (state_.interrupts_enabled ? ahci::kInterruptEnable : 0) |
             (HbaResetLocked() ? ahci::kHbaReset : 0);
    case ahci::kInterruptStatus: return PendingLocked();
    case ahci::kPortsImplemented: return (1u << AhciState::kPorts) - 1;
    case ahci::kVersion: return ahci::kVersion10;
    default: counters_.ignored_accesses.Add(); return 0;
  }
}

uint64_t AhciHba::ReadLocked(uint64_t offset, unsigned size) {
  const uint64_t first = offset & ~uint64_t{3};
  const auto shift = static_cast<unsigned>(8 * (offset - first));
  uint64_t value = ReadRegisterLocked(first);
  if (shift + 8 * size > 32 && first + 4 < kRegisterBytes) {
    value |= uint64_t{ReadRegisterLocked(first + 4)} << 32;
  }
  return size == 8 ? value >> shift : value >> shift & ((uint64_t{1} << (8 * size)) - 1);
}

// 3.3.7: the engines run as soon as they are asked to, and stop once nothing is in flight.
void AhciHba::WriteCommandLocked(unsigned index, uint32_t value) {
  AhciPortState& port = state_.ports.at(index);
  Live& live = live_.at(index);
  const bool started = (port.command & ahci::kStart) != 0;
  const uint32_t running = port.command & ahci::kListRunning;
  port.command = (value & ahci::kCommandWritable) | running;
  if ((value & ahci::kStart) != 0) {
    port.command |= ahci::kListRunning;
    port.failed = port.failed && started;
  } else if (started) {
    port.issued = 0;  // 3.3.14, 3.3.13
    port.sata_active = 0;
    ++live.generation;
  }
  if ((value & ahci::kFisReceive) != 0) {
    port.command |= ahci::kFisRunning;
    if (live.engine == nullptr) {
      GreetLocked(index);
    }
  }
  SettleLocked(index);
  if (live.engine != nullptr && (value & ahci::kStart) != 0) {
    live.engine->Kick();
  }
}

// What had to wait until nothing was in flight.
void AhciHba::SettleLocked(unsigned index) {
  AhciPortState& port = state_.ports.at(index);
  const Live& live = live_.at(index);
  if (live.in_flight != 0) {
    return;
  }
  if ((port.command & ahci::kStart) == 0) {
    port.command &= ~ahci::kListRunning;
  }
  if ((port.command & ahci::kFisRunning) != 0 && live.engine != nullptr && !live.resetting) {
    GreetLocked(index);
  }
}

void AhciHba::GreetLocked(unsigned index) {
  AhciPortState& port = state_.ports.at(index);
  const Engine* const engine = live_.at(index).engine;
  if (port.greeted || !bus_.MayWriteMemory()) {
    return;
  }
  std::array<uint8_t, 20> fis = ahci::kAbsentFis;
  uint32_t signature = ahci::kAbsentSignature;
  if (engine != nullptr) {
    signature = engine->signature();
    fis[2] = engine->reset_status();
    fis[3] = 1;
    fis[5] = static_cast<uint8_t>(signature >> 16);
    fis[6] = static_cast<uint8_t>(signature >> 24);
  }
  ReceiveLocked(port, ahci::kReceivedRegisterFis, fis);
  port.greeted = true;
  port.task_file = fis[2] | uint32_t{fis[3]} << 8;
  port.signature = signature;
  port.interrupt_status |= ahci::kDeviceToHost;
  UpdateIrqLocked();
}

void AhciHba::ReceiveLocked(const AhciPortState& port, uint64_t at, std::span<const uint8_t> fis) {
  const uint64_t base = uint64_t{port.fis_base_upper} << 32 | port.fis_base;
  if ((port.command & ahci::kFisRunning) != 0 && !bus_.WriteMemory(base + at, fis.data(), fis.size())) {
    counters_.lost_fises.Add();
  }
}

// 10.4.2 and 10.4.3: the drive starts anew once what it has in flight is over.
void AhciHba::ResetPortLocked(unsigned index) {
  AhciPortState& port = state_.ports.at(index);
  Live& live = live_.at(index);
  port.sata_active = 0;
  port.issued = 0;
  port.task_file = AhciPortState{}.task_file;
  port.signature = AhciPortState{}.signature;
  port.greeted = false;
  ++live.generation;
  if (live.engine != nullptr) {
    live.resetting = true;
    live.engine->Kick();
  }
}

bool AhciHba::HbaResetLocked() const {
  // Ports that are reset one by one show it here as well; nobody asks while that lasts.
  return std::any_of(live_.begin(), live_.end(), [](const Live& live) { return live.resetting; });
}

void AhciHba::WritePortLocked(unsigned index, uint64_t offset, uint32_t value) {
  AhciPortState& port = state_.ports.at(index);
  Live& live = live_.at(index);
  switch (offset) {
    case ahci::kListBase: port.list_base = value; break;
    case ahci::kListBaseUpper: port.list_base_upper = value; break;
    case ahci::kFisBase: port.fis_base = value; break;
    case ahci::kFisBaseUpper: port.fis_base_upper = value; break;
    case ahci::kPortInterruptStatus:
      port.interrupt_status &= ~value;
      UpdateIrqLocked();
      break;
    case ahci::kPortInterruptEnable:
      port.interrupt_enable = value & ahci::kInterruptsThere;
      UpdateIrqLocked();
      break;
    case ahci::kCommand: WriteCommandLocked(index, value); break;
    case ahci::kSataControl:
      // 10.4.2: a port reset lasts while DET is 1.
      if ((port.sata_control & ahci::kDetection) == ahci::kDetectionReset &&
          (value & ahci::kDetection) == 0) {
        ResetPortLocked(index);
      }
      port.sata_control = value;
      SettleLocked(index);
      break;
    case ahci::kSataActive: port.sata_active |= value; break;
    case ahci::kCommandIssue:
      // 3.3.14: only while the list runs; an empty port keeps what it is given, as QEMU's.
      if (live.engine == nullptr || (port.command & ahci::kStart) != 0) {
        port.issued |= value;
      }
      if (live.engine != nullptr) {
        live.engine->Kick();
      }
      break;
    default: counters_.ignored_accesses.Add();  // not there, or read-only
  }
}

// 10.4.3: addresses stay as they are.
void AhciHba::WriteControlLocked(uint32_t value) {
  if ((value & ahci::kHbaReset) == 0) {
    state_.interrupts_enabled = (value & ahci::kInterruptEnable) != 0;
    return;
  }
  state_.interrupts_enabled = false;
  for (unsigned index = 0; index < AhciState::kPorts; ++index) {
    AhciPortState& port = state_.ports.at(index);
    AhciPortState fresh;
    fresh.list_base = port.list_base;
    fresh.list_base_upper = port.list_base_upper;
    fresh.fis_base = port.fis_base;
    fresh.fis_base_upper = port.fis_base_upper;
    port = fresh;
    ResetPortLocked(index);
  }
}

void AhciHba::WriteRegisterLocked(uint64_t offset, uint32_t value) {
  if (offset >= ahci::kFirstPort) {
    const uint64_t port = (offset - ahci::kFirstPort) / ahci::kPortBytes;
    if (port < state_.ports.size()) {
      return WritePortLocked(static_cast<unsigned>(port), offset % ahci::kPortBytes, value);
    }
  }
  switch (offset) {
    case ahci::kGlobalControl:
      WriteControlLocked(value);
      UpdateIrqLocked();
      break;
    // What a port still asks for stands here at once again, and tells so.
    case ahci::kInterruptStatus: UpdateIrqLocked(); break;
    default: counters_.ignored_accesses.Add();
  }
}

// Section 3: registers are written by whole double words; of a narrower write the rest is zero.
void AhciHba::WriteLocked(uint64_t offset, unsigned size, uint64_t value) {
  if (offset % 4 != 0) {
    counters_.ignored_accesses.Add();
    return;
  }
  WriteRegisterLocked(offset, static_cast<uint32_t>(value));
  if (size == 8 && offset + 4 < kRegisterBytes) {
    WriteRegisterLocked(offset + 4, static_cast<uint32_t>(value >> 32));
  }
}

uint64_t AhciHba::Read(uint64_t offset, unsigned size) {
  const MutexLock lock(mutex_);
  return ReadLocked(offset, size);
}

void AhciHba::Write(uint64_t offset, unsigned size, uint64_t value) {
  const MutexLock lock(mutex_);
  WriteLocked(offset, size, value);
}

uint64_t AhciHba::ReadIndexPort(uint64_t offset, unsigned size) {
  const MutexLock lock(mutex_);
  switch (offset) {
    case ahci::kIndexPort: return state_.index;
    case ahci::kDataPort: return ReadLocked(state_.index, size);
    default: counters_.ignored_accesses.Add(); return 0;
  }
}

void AhciHba::WriteIndexPort(uint64_t offset, unsigned size, uint64_t value) {
  const MutexLock lock(mutex_);
  switch (offset) {
    case ahci::kIndexPort: state_.index = static_cast<uint16_t>(value & ahci::kIndexMask); break;
    case ahci::kDataPort: WriteLocked(state_.index, size, value); break;
    default: counters_.ignored_accesses.Add();
  }
}

void AhciHba::Reset() {
  const MutexLock lock(mutex_);
  state_ = AhciState{};
  for (Live& live : live_) {
    ++live.generation;
    live.resetting = false;
  }
  UpdateIrqLocked();
}

void AhciHba::RedriveIrq() {
  const MutexLock lock(mutex_);
  UpdateIrqLocked();
}

AhciState AhciHba::Save() const {
  const MutexLock lock(mutex_);
  return state_;
}

void AhciHba::Load(const AhciState& state) {
  const MutexLock lock(mutex_);
  state_ = state;
}

}  // namespace nandu

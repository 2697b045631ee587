#include "machine/q35.h"

#include <ctime>

#include "base/log.h"
#include "base/uuid.h"
#include "boot/firmware_rom.h"
#include "devices/legacy/debugcon.h"
#include "devices/legacy/dma_controller.h"
#include "devices/legacy/hpet.h"
#include "devices/legacy/ich9_ahci.h"
#include "devices/legacy/pflash.h"
#include "devices/legacy/serial_device.h"
#include "devices/legacy/vmport.h"
#include "devices/pci/pci_setup.h"

namespace nandu {

namespace {

void TakeRtcConfig(const RtcConfig& config, int64_t realtime_ns, Rtc::Options* rtc) {
  constexpr int64_t kSecondNs = 1'000'000'000;
  switch (config.clock) {
    case RtcConfig::Clock::kHost: rtc->follows = Rtc::Follows::kRealtime; break;
    case RtcConfig::Clock::kRt: rtc->follows = Rtc::Follows::kMonotonic; break;
    case RtcConfig::Clock::kVm: rtc->follows = Rtc::Follows::kVm; break;
  }
  rtc->lost_ticks = config.slew ? Rtc::LostTicks::kSlew : Rtc::LostTicks::kDiscard;
  if (config.base == RtcConfig::Base::kDate) {
    rtc->start_s = config.date_s;
  } else if (config.base == RtcConfig::Base::kLocaltime) {
    const std::time_t now = realtime_ns / kSecondNs;
    std::tm local = {};
    rtc->offset_s = localtime_r(&now, &local) != nullptr ? local.tm_gmtoff : 0;
  }
}

}  // namespace

Result<std::unique_ptr<Q35>> Q35::Create(DeviceHost& host, KvmBoard& board, const MachineConfig& config) {
  std::unique_ptr<Q35> q35(new Q35(host, board));
  TRY(q35->AddChipset(config));
  TRY(q35->AddPorts(config));
  TRY(q35->AddFlash(config));
  return q35;
}

Q35::~Q35() {
  if (dma_) {
    board_.memory().RemoveListener(dma_.get());
  }
}

Result<> Q35::AddChipset(const MachineConfig& config) {
  Q35HostBridge::Options bridge;
  bridge.spaces = {&board_.memory(), &board_.ports()};
  bridge.set_pirq = [this](unsigned pirq, bool level) { lpc_->SetPirq(pirq, level); };
  bridge.pam_changed = [this](const std::array<uint8_t, Q35HostBridge::kPamRegisters>& pam) {
    board_.shadow_ram().Follow(pam);
  };
  host_bridge_ = TRY(Q35HostBridge::Create(std::move(bridge)));
  dma_ = std::make_unique<DmaListener>(host_bridge_->root());
  board_.memory().AddListener(dma_.get());

  Ich9Lpc::Gsis gsis;
  for (unsigned pirq = 0; pirq < IrqRouter::kPirqs; ++pirq) {
    gsis[pirq] = board_.irqchip().ClaimGsi(IrqRouter::kFirstGsi + pirq);
  }
  lpc_ = TRY(Ich9Lpc::Create(host_, host_bridge_->root(), std::move(gsis),
                             config.no_reboot_strap ? Ich9Lpc::NoReboot::kOn : Ich9Lpc::NoReboot::kOff));
  if (config.sata) {
    others_.push_back(TRY(Ich9Ahci::Create(host_, host_bridge_->root())));
  }
  if (config.smbus) {
    std::unique_ptr<Ich9Smbus> smbus = TRY(Ich9Smbus::Create(host_bridge_->root()));
    smbus_ = smbus.get();
    others_.push_back(std::move(smbus));
  }

  IrqLine* rtc_line = nullptr;
  if (config.hpet) {
    Hpet::Options options;
    options.claim_gsi = [this](unsigned number) { return board_.irqchip().ClaimGsi(number); };
    options.legacy_replacement = [this](bool on) { board_.irqchip().SetHpetLegacy(on); };
    std::unique_ptr<Hpet> hpet = TRY(Hpet::Create(host_, std::move(options)));
    rtc_line = &hpet->rtc_line();
    others_.push_back(std::move(hpet));
  } else {
    rtc_line_ = host_.ClaimIsaIrq(8);
    rtc_line = rtc_line_.get();
  }
  Rtc::Options rtc;
  rtc.low_ram_bytes = board_.map().low_ram_bytes;
  rtc.high_ram_bytes = board_.map().high_ram_bytes;
  rtc.cpus = config.smp.cpus;
  TakeRtcConfig(config.rtc, host_.clock().RealtimeNs(), &rtc);
  std::unique_ptr<Rtc> clock = TRY(Rtc::Create(host_, *rtc_line, rtc));
  rtc_ = clock.get();
  others_.push_back(std::move(clock));
  return {};
}

// The first chip ends at 4 GiB, where the processor starts, and the second one below it.
Result<> Q35::AddFlash(const MachineConfig& config) {
  uint64_t end = MemoryMap::kFourGiB;
  for (unsigned i = 0; i < Pflash::kChips && !config.pflash.at(i).empty(); i++) {
    std::unique_ptr<Pflash> chip = TRY(Pflash::Create(host_, i, config.pflash.at(i), end));
    end = chip->base();
    if (MemoryMap::kFourGiB - end > Pflash::kMostBytes) {
      return Fail(Errc::kInvalidArgument, "pflash0 and pflash1 have {} bytes together; 8 MiB are possible",
                  MemoryMap::kFourGiB - end);
    }
    if (i == 0) {
      flash_shadow_ = TRY(MapFirmwareShadow(board_.memory(), chip->array()->bytes()));
    }
    others_.push_back(std::move(chip));
  }
  return {};
}

Result<> Q35::AddPorts(const MachineConfig& config) {
  std::unique_ptr<FwCfg> fw_cfg = TRY(FwCfg::Create(host_));
  fw_cfg_ = fw_cfg.get();
  others_.push_back(std::move(fw_cfg));
  others_.push_back(TRY(IsaDma::Create(host_)));
  for (unsigned index = 0; index < config.serials.size(); ++index) {
    const std::string& chardev = config.serials[index];
    if (chardev.empty()) {
      continue;
    }
    SerialDevice::Options serial;
    serial.id = Format("#serial{}", index);
    serial.index = index;
    serial.chardev = TRY(Prefix(host_.ClaimChardev(chardev, serial.id), Format("serial port {}", index)));
    others_.push_back(TRY(SerialDevice::Create(host_, std::move(serial))));
  }
  // After the serial ports: the order of the ISA devices is the one guests number them by.
  std::unique_ptr<I8042> keyboard_controller = TRY(I8042::Create(host_));
  keyboard_controller_ = keyboard_controller.get();
  others_.push_back(std::move(keyboard_controller));
  if (config.vmport) {
    Vmport::Options vmport;
    vmport.registers = board_.exit_registers();
    vmport.ram_bytes = config.ram_bytes;
    vmport.uuid = ParseUuid(config.uuid).value_or(Uuid{});
    others_.push_back(TRY(Vmport::Create(host_, std::move(vmport))));
  }
  if (!config.debugcon.empty()) {
    DebugConsole::Options debugcon;
    debugcon.id = "#debugcon";
    debugcon.chardev = TRY(Prefix(host_.ClaimChardev(config.debugcon, debugcon.id), "-debugcon"));
    others_.push_back(TRY(DebugConsole::Create(host_, std::move(debugcon))));
  }
  return {};
}

std::vector<Device*> Q35::devices() const {
  // Controllers first: what raises interrupts is reset and resumed after what takes them.
  std::vector<Device*> list = board_.irqchip().devices();
  list.insert(list.end(), {host_bridge_.get(), lpc_.get()});
  for (const std::unique_ptr<Device>& device : others_) {
    list.push_back(device.get());
  }
  return list;
}

Result<> Q35::SetUpWithoutFirmware() {
  // What SeaBIOS writes into interrupt line registers for PIRQA..H.
  constexpr std::array<uint8_t, PciBus::kRootLines> kInterruptLines = {10, 10, 11, 11, 10, 10, 11, 11};
  const MemoryMap& map = board_.map();
  host_bridge_->EnableEcam(MemoryMap::kEcamBase);
  host_bridge_->OpenShadowRam();
  lpc_->SetUpAsFirmware();
  keyboard_controller_->SetUpAsFirmware();
  PciSetupOptions options;
  options.memory32 = {map.pci32_base(), map.pci32_end()};
  options.memory64 = {map.pci64_base(), map.pci64_end()};
  options.irq_of_line = kInterruptLines;
  TRY(SetUpPci(host_bridge_->root(), options));
  if (smbus_ != nullptr) {
    smbus_->SetUpAsFirmware();
  }
  return {};
}

}  // namespace nandu

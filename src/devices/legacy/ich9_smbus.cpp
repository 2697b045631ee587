#include "devices/legacy/ich9_smbus.h"

#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_regs.h"
#include "state/state.h"

namespace nandu {
namespace {

constexpr unsigned kRegisterBar = 4;
constexpr uint16_t kHostConfig = 0x40;  // HOSTC (19.1.15)
constexpr uint8_t kEnable = 1 << 0;
constexpr uint8_t kI2c = 1 << 2;
constexpr uint8_t kSoftReset = 1 << 3;  // reads as zero: it is over at once
constexpr uint32_t kFirmwareBase = 0x700;

}  // namespace

Result<> Validate(const Ich9SmbusState& state) {
  if (state.eeproms.size() != SmbusHost::kEeproms) {
    return Fail(Errc::kCorrupt, "{} EEPROMs on the SMBus, here {}", state.eeproms.size(),
                SmbusHost::kEeproms);
  }
  return {};
}

Ich9Smbus::Ich9Smbus()
    : LegacyDevice("#smbus", "ICH9-SMB", "/machine/pcie.0/1f.3"),
      function_("smbus",
                PciIdentity{.vendor_id = 0x8086,
                            .device_id = 0x2930,
                            .revision = 2,
                            .class_code = 0x0c0500,
                            .subsystem_vendor_id = 0x1af4,
                            .subsystem_id = 0x1100,
                            .interrupt_pin = 1,
                            .multifunction = true},
                false),
      host_(std::make_shared<SmbusHost>([this](bool level) { function_.SetIntx(level); })) {}

Ich9Smbus::~Ich9Smbus() {
  if (bus_ != nullptr) {
    bus_->Detach(function_);
  }
}

Result<std::unique_ptr<Ich9Smbus>> Ich9Smbus::Create(PciBus& root) {
  std::unique_ptr<Ich9Smbus> device(new Ich9Smbus);
  Ich9Smbus* const self = device.get();
  // Stored and read back, as QEMU's function stores all it does not know.
  for (uint16_t reg = kHostConfig; reg < pci::kConfigBytes; reg = static_cast<uint16_t>(reg + 4)) {
    self->function_.SetInitial(reg, 4, 0, ~uint32_t{0});
  }
  self->function_.SetConfigHook([self](uint16_t, unsigned) {
    self->FollowConfig();
    return ExitDone::Done();
  });
  TRY(self->function_.AddBar(kRegisterBar, BarKind::kIo, Region::Io(self->host_, SmbusHost::kPorts)));
  TRY(root.Attach(self->function_, kDevfn));
  self->bus_ = &root;
  return device;
}

void Ich9Smbus::FollowConfig() {
  const uint32_t config = function_.ReadConfig(kHostConfig, 1);
  if ((config & kSoftReset) != 0) {
    function_.SetStatusBits(kHostConfig, 1, 0, kSoftReset);
    host_->Abort();
  }
  host_->Configure((config & kEnable) != 0, (config & kI2c) != 0);
}

void Ich9Smbus::SetUpAsFirmware() {
  constexpr auto kBar = static_cast<uint16_t>(pci::kBar0 + 4 * kRegisterBar);
  static_cast<void>(function_.WriteConfig(kBar, 4, kFirmwareBase));
  static_cast<void>(function_.WriteConfig(kHostConfig, 1, kEnable));
}

void Ich9Smbus::Reset() {
  function_.Reset();
  host_->Reset();
  FollowConfig();
}

void Ich9Smbus::Save(const StateWriter& writer) const {
  Ich9SmbusState state;
  state.eeproms.clear();
  state.host = host_->Save(&state.eeproms);
  function_.Save(writer);
  writer.Child("smbus").Put(state);
}

Result<> Ich9Smbus::Load(const StateReader& reader) {
  const Ich9SmbusState state = TRY(reader.Child("smbus").Get<Ich9SmbusState>());
  TRY(function_.Load(reader));
  host_->Load(state.host, state.eeproms);
  FollowConfig();
  return {};
}

}  // namespace nandu

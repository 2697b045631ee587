#include "devices/legacy/ich9_ahci.h"

#include <array>

#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_regs.h"
#include "state/state.h"

namespace nandu {
namespace {

constexpr unsigned kIndexBar = 4;
constexpr unsigned kRegisterBar = 5;
constexpr uint8_t kMsiAt = 0x80;
constexpr uint8_t kCapSata = 0x12;
constexpr uint8_t kSataAt = 0xa8;
constexpr uint16_t kAddressMap = 0x90;  // MAP (14.1.33)
constexpr uint32_t kAhciMode = 0x40;
constexpr uint16_t kFirstOwn = 0x40;

class RegisterWindow final : public IoHandler {
 public:
  explicit RegisterWindow(AhciHba& hba) : hba_(hba) {}
  std::string_view name() const override { return "ahci"; }
  uint64_t Read(uint64_t offset, unsigned size) override { return hba_.Read(offset, size); }
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override {
    hba_.Write(offset, size, value);
    return ExitDone::Done();
  }

 private:
  AhciHba& hba_;
};

class IndexWindow final : public IoHandler {
 public:
  explicit IndexWindow(AhciHba& hba) : hba_(hba) {}
  std::string_view name() const override { return "ahci-idp"; }
  uint64_t Read(uint64_t offset, unsigned size) override { return hba_.ReadIndexPort(offset, size); }
  ExitDone Write(uint64_t offset, unsigned size, uint64_t value) override {
    hba_.WriteIndexPort(offset, size, value);
    return ExitDone::Done();
  }

 private:
  AhciHba& hba_;
};

}  // namespace

Ich9Ahci::Ich9Ahci()
    : LegacyDevice("#ahci", "ich9-ahci", "/machine/pcie.0/1f.2"),
      function_("ahci",
                PciIdentity{.vendor_id = 0x8086,
                            .device_id = 0x2922,
                            .revision = 2,
                            .class_code = 0x010601,
                            .subsystem_vendor_id = 0x1af4,
                            .subsystem_id = 0x1100,
                            .interrupt_pin = 1,
                            .multifunction = true},
                false),
      hba_(*this) {}

Ich9Ahci::~Ich9Ahci() {
  if (bus_ != nullptr) {
    bus_->Detach(function_);
  }
}

Result<> Ich9Ahci::DescribeFunction(MsiAllocator& msi) {
  // Stored and read back, as QEMU's function stores all it does not know; capabilities come over it.
  for (uint16_t reg = kFirstOwn; reg < pci::kConfigBytes; reg = static_cast<uint16_t>(reg + 4)) {
    function_.SetInitial(reg, 4, 0, ~uint32_t{0});
  }
  function_.SetInitial(kAddressMap, 4, kAhciMode, ~uint32_t{0});
  // 14.1.35: revision 1.0; the index-data pair is in BAR 4, four double words from its start.
  constexpr std::array<uint8_t, 6> kSata = {0x10, 0x00, 0x48, 0x00, 0x00, 0x00};
  TRY(function_.AddCapability(kCapSata, kSata, {}, kSataAt));
  TRY(function_.EnableMsi(kMsiAt, msi));
  TRY(function_.AddBar(kIndexBar, BarKind::kIo,
                       Region::Io(std::make_shared<IndexWindow>(hba_), AhciHba::kIndexPorts)));
  return function_.AddBar(kRegisterBar, BarKind::kMemory32,
                          Region::Io(std::make_shared<RegisterWindow>(hba_), AhciHba::kRegisterBytes));
}

Result<std::unique_ptr<Ich9Ahci>> Ich9Ahci::Create(DeviceHost& host, PciBus& root) {
  std::unique_ptr<Ich9Ahci> device(new Ich9Ahci);
  TRY(device->DescribeFunction(host.msi()));
  TRY(root.Attach(device->function_, kDevfn));
  device->bus_ = &root;
  return device;
}

void Ich9Ahci::SetInterrupt(bool level) {
  const bool by_message = function_.msi_enabled();
  function_.SetIntx(level && !by_message);
  if (level && by_message) {
    function_.NotifyMsi();
  }
}

void Ich9Ahci::Reset() {
  function_.Reset();
  hba_.Reset();
}

void Ich9Ahci::Save(const StateWriter& writer) const {
  function_.Save(writer);
  writer.Child("ahci").Put(hba_.Save());
}

Result<> Ich9Ahci::Load(const StateReader& reader) {
  const AhciState state = TRY(reader.Child("ahci").Get<AhciState>());
  TRY(function_.Load(reader));
  hba_.Load(state);
  return {};
}

}  // namespace nandu

#include "devices/legacy/ich9_ahci.h"

#include <array>
#include <atomic>

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

IdeBus::IdeBus(Ich9Ahci& controller, unsigned port)
    : controller_(controller), port_(port), id_(Format("ide.{}", port)) {}

Ich9Ahci::Ich9Ahci(DeviceHost& host)
    : LegacyDevice("#ahci", "ich9-ahci", "/machine/pcie.0/1f.2"),
      host_(host),
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
  for (const std::unique_ptr<IdeBus>& bus : buses_) {
    host_.WithdrawBus(*bus);
  }
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
  std::unique_ptr<Ich9Ahci> device(new Ich9Ahci(host));
  TRY(device->DescribeFunction(host.msi()));
  TRY(root.Attach(device->function_, kDevfn));
  device->bus_ = &root;
  device->function_.SetConfigHook([raw = device.get()](uint16_t, unsigned) { return raw->OnConfigWrite(); });
  for (unsigned port = 0; port < AhciState::kPorts; ++port) {
    device->buses_.push_back(std::make_unique<IdeBus>(*device, port));
    host.OfferBus(*device->buses_.back());
  }
  return device;
}

Result<std::shared_ptr<AhciPort>> Ich9Ahci::Connect(unsigned port, EventLoop& loop,
                                                    std::shared_ptr<AtaDrive> drive) {
  if (ports_.at(port) != nullptr) {
    return Fail(Errc::kExists, "bus ide.{} has a drive already, and takes one", port);
  }
  ports_.at(port) = std::make_shared<AhciPort>(loop, hba_, port, function_.dma(), std::move(drive));
  hba_.Connect(port, ports_.at(port).get());
  return ports_.at(port);
}

void Ich9Ahci::Disconnect(unsigned port) {
  hba_.Connect(port, nullptr);
  ports_.at(port).reset();
}

void Ich9Ahci::DrainPorts(AhciPort::Then then, UniqueFunction<void()> done) {
  // The last port that is done tells.
  struct Gathering {
    std::atomic<size_t> missing{1};
    UniqueFunction<void()> done;
  };
  auto gathering = std::make_shared<Gathering>();
  gathering->done = std::move(done);
  const auto one_less = [gathering] {
    if (gathering->missing.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      gathering->done();
    }
  };
  for (const std::shared_ptr<AhciPort>& port : ports_) {
    if (port != nullptr) {
      gathering->missing.fetch_add(1, std::memory_order_relaxed);
      port->loop().Post([port, then, one_less] { port->Drain(then, one_less); });
    }
  }
  one_less();
}

void Ich9Ahci::Quiesce(UniqueFunction<void()> done) { DrainPorts(AhciPort::Then::kPause, std::move(done)); }

// PCI 3.0, 6.2.2: without Bus Master Enable a function generates no accesses, from the end of that write on.
ExitDone Ich9Ahci::OnConfigWrite() {
  if (function_.bus_master()) {
    hba_.KickAll();
    return ExitDone::Done();
  }
  auto token = std::make_shared<ParkedExit>();
  DrainPorts(AhciPort::Then::kGoOn, [token] { token->Signal(); });
  return token->signalled() ? ExitDone::Done() : ExitDone::Park(token);
}

std::vector<std::string> Ich9Ahci::StuckRequests() const {
  std::vector<std::string> stuck;
  for (const std::shared_ptr<AhciPort>& port : ports_) {
    if (port != nullptr) {
      std::vector<std::string> here = port->Stuck();
      stuck.insert(stuck.end(), here.begin(), here.end());
    }
  }
  return stuck;
}

void Ich9Ahci::Resume() {
  hba_.RedriveIrq();
  for (const std::shared_ptr<AhciPort>& port : ports_) {
    if (port != nullptr) {
      port->loop().Post([port] { port->Resume(); });
    }
  }
  hba_.KickAll();
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

#include "devices/legacy/ich9_lpc.h"

#include "devices/legacy/byte_ports.h"
#include "devices/pci/pci_bus.h"
#include "state/state.h"

namespace nandu {

BOOST_DESCRIBE_STRUCT(AcpiPmState, (),
                      (pm1_status, pm1_enable, pm1_control, overflow_ticks, gpe0_status, gpe0_enable,
                       smi_enable, smi_status))
BOOST_DESCRIBE_STRUCT(Ich9LpcState, (), (pm, smi_command, smi_status, reset_control, no_reboot))

namespace {

// Configuration registers (13.1).
constexpr uint16_t kPmBase = 0x40;
constexpr uint32_t kPmBaseMask = 0xff80;
constexpr uint32_t kPmBaseIsIo = 1;
constexpr uint16_t kAcpiControl = 0x44;
constexpr uint8_t kAcpiEnable = 0x80;
constexpr uint8_t kSciSelect = 0x07;
constexpr uint16_t kPirqAtoD = 0x60;
constexpr uint16_t kPirqEtoH = 0x68;
constexpr uint32_t kPirqMask = 0x8f;
constexpr uint8_t kPirqDefault = 0x80;
constexpr uint16_t kLpcDecode = 0x80;
constexpr uint16_t kLpcEnable = 0x82;
constexpr uint16_t kPowerManagement = 0xa0;
constexpr uint16_t kRcba = 0xf0;
constexpr uint32_t kRcbaMask = 0xffffc000;
constexpr uint32_t kRcbaEnable = 1;

constexpr uint16_t kSmiPort = 0xb2;    // APM_CNT, APM_STS
constexpr uint8_t kSmiAcpiEnable = 2;  // FADT: ACPI_ENABLE
constexpr uint8_t kSmiAcpiDisable = 3;

// What SeaBIOS programs on QEMU's q35.
constexpr uint32_t kFirmwarePmBase = 0x600;
constexpr uint32_t kFirmwareRcba = 0xfed1c000;
constexpr uint32_t kFirmwarePirqs = 0x0b0b0a0a;

constexpr int kOverRam = 1;

unsigned SciOf(uint8_t acpi_control) {
  constexpr std::array<unsigned, 8> kSci = {9, 10, 11, 9, 20, 21, 9, 9};  // 13.1.13
  return kSci[acpi_control & kSciSelect];
}

IrqRouter::IsaLines ClaimIsaLines(DeviceHost& host) {
  IrqRouter::IsaLines lines;
  for (unsigned irq = 0; irq < IrqRouter::kIsaIrqs; irq++) {
    lines[irq] = host.ClaimIsaIrq(irq);
  }
  return lines;
}

}  // namespace

Result<std::unique_ptr<Ich9Lpc>> Ich9Lpc::Create(DeviceHost& host, PciBus& root, Gsis gsis, NoReboot strap) {
  std::unique_ptr<Ich9Lpc> device(new Ich9Lpc(host, std::move(gsis), strap));
  TRY(device->MapAll(root));
  return device;
}

Ich9Lpc::Ich9Lpc(DeviceHost& host, Gsis gsis, NoReboot strap)
    : LegacyDevice("#lpc", "ICH9-LPC", "/machine/pcie.0/1f.0"),
      host_(host),
      strap_(strap),
      router_(ClaimIsaLines(host), std::move(gsis)),
      sci_(router_),
      pm_(std::make_shared<AcpiPm>(sci_, host.clock(), [&host] { host.RequestShutdown("guest-shutdown"); })),
      rcrb_(std::make_shared<Rcrb>()),
      tco_(std::make_shared<Tco>(host.clock(), [this] { return OnWatchdog(); })),
      function_("lpc",
                PciIdentity{.vendor_id = 0x8086,
                            .device_id = 0x2918,
                            .revision = 2,
                            .class_code = 0x060100,
                            .subsystem_vendor_id = 0x1af4,
                            .subsystem_id = 0x1100,
                            .multifunction = true},
                false) {
  DescribeFunction();
}

Ich9Lpc::~Ich9Lpc() {
  if (bus_ != nullptr) {
    bus_->Detach(function_);
  }
}

void Ich9Lpc::DescribeFunction() {
  function_.SetInitial(kPmBase, 4, kPmBaseIsIo, kPmBaseMask);
  function_.SetInitial(kAcpiControl, 1, 0, kAcpiEnable | kSciSelect);
  constexpr uint32_t kFourDefaults = kPirqDefault * 0x01010101u;
  constexpr uint32_t kFourMasks = kPirqMask * 0x01010101u;
  function_.SetInitial(kPirqAtoD, 4, kFourDefaults, kFourMasks);
  function_.SetInitial(kPirqEtoH, 4, kFourDefaults, kFourMasks);
  // Stored and read back: they decode for devices that are where they are.
  for (uint16_t reg = kLpcDecode; reg < kLpcDecode + 0x14; reg = static_cast<uint16_t>(reg + 4)) {
    function_.SetInitial(reg, 4, 0, ~uint32_t{0});
  }
  function_.SetInitial(kPowerManagement, 4, 0, ~uint32_t{0});
  function_.SetInitial(kRcba, 4, 0, kRcbaMask | kRcbaEnable);
  function_.SetConfigHook([this](uint16_t, unsigned) {
    FollowConfig();
    return ExitDone::Done();
  });
}

Result<> Ich9Lpc::MapAll(PciBus& root) {
  AddressSpace& io = host_.io_space();
  const std::shared_ptr<const FlatView> view = io.view();
  const FlatRange* const below = view->Find(ResetControl::kBase);
  reset_control_ = std::make_shared<ResetControl>(below != nullptr ? below->handler : nullptr,
                                                  [this] { host_.RequestReset("guest-reset"); });
  auto smi_ports = std::make_shared<BytePorts>(
      "smi-command", [this](unsigned offset) { return ReadSmiPort(offset); },
      [this](unsigned offset, uint8_t value) { WriteSmiPort(offset, value); });
  {
    const AddressSpace::Transaction transaction(io);
    reset_mapping_ =
        TRY(io.Map(ResetControl::kBase, Region::Io(reset_control_, ResetControl::kPorts), kOverRam));
    smi_mapping_ = TRY(io.Map(kSmiPort, Region::Io(std::move(smi_ports), 2)));
    pm_mapping_ = TRY(io.Map(0, Region::Io(pm_, AcpiPm::kPorts), 0, false));
    tco_mapping_ = TRY(io.Map(Tco::kOffset, Region::Io(tco_, Tco::kPorts), kOverRam, false));
  }
  rcrb_mapping_ = TRY(host_.memory_space().Map(0, Region::Io(rcrb_, Rcrb::kBytes), kOverRam, false));
  TRY(root.Attach(function_, kDevfn));
  bus_ = &root;
  return {};
}

void Ich9Lpc::FollowConfig() {
  const MutexLock lock(follow_mutex_);
  std::array<uint8_t, IrqRouter::kPirqs> routes = {};
  for (uint16_t i = 0; i < 4; i++) {
    routes[i] = static_cast<uint8_t>(function_.ReadConfig(static_cast<uint16_t>(kPirqAtoD + i), 1));
    routes[i + 4u] = static_cast<uint8_t>(function_.ReadConfig(static_cast<uint16_t>(kPirqEtoH + i), 1));
  }
  const auto acpi_control = static_cast<uint8_t>(function_.ReadConfig(kAcpiControl, 1));
  router_.SetRoutes(routes, SciOf(acpi_control));
  // Moving a mapping takes every vCPU out of the guest, so only a register that changed does.
  const uint32_t pm_base =
      (function_.ReadConfig(kPmBase, 4) & kPmBaseMask) | ((acpi_control & kAcpiEnable) != 0 ? 1 : 0);
  if (pm_base != pm_base_) {
    const AddressSpace::Transaction transaction(host_.io_space());
    pm_base_ = pm_base;
    pm_mapping_.Move(pm_base & kPmBaseMask);
    pm_mapping_.SetEnabled((pm_base & 1) != 0);
    tco_mapping_.Move((pm_base & kPmBaseMask) + Tco::kOffset);
    tco_mapping_.SetEnabled((pm_base & 1) != 0);
  }
  const uint32_t rcba = function_.ReadConfig(kRcba, 4);
  if (rcba != rcba_) {
    const AddressSpace::Transaction transaction(host_.memory_space());
    rcba_ = rcba;
    rcrb_mapping_.Move(rcba & kRcbaMask);
    rcrb_mapping_.SetEnabled((rcba & kRcbaEnable) != 0);
  }
}

void Ich9Lpc::SetUpAsFirmware() {
  // The hook carries each write on.
  static_cast<void>(function_.WriteConfig(kPmBase, 4, kFirmwarePmBase | kPmBaseIsIo));
  static_cast<void>(function_.WriteConfig(kAcpiControl, 1, kAcpiEnable));
  static_cast<void>(function_.WriteConfig(kPirqAtoD, 4, kFirmwarePirqs));
  static_cast<void>(function_.WriteConfig(kPirqEtoH, 4, kFirmwarePirqs));
  static_cast<void>(function_.WriteConfig(kRcba, 4, kFirmwareRcba | kRcbaEnable));
}

bool Ich9Lpc::OnWatchdog() {
  if (strap_ == NoReboot::kOn || rcrb_->no_reboot()) {
    return false;
  }
  host_.WatchdogExpired();
  return true;
}

uint8_t Ich9Lpc::ReadSmiPort(unsigned offset) {
  const MutexLock lock(mutex_);
  return offset == 0 ? smi_command_ : smi_status_;
}

// 13.7: a write to APM_CNT is how an OS asks firmware for ACPI mode; there is no firmware, so it happens
// here.
void Ich9Lpc::WriteSmiPort(unsigned offset, uint8_t value) {
  {
    const MutexLock lock(mutex_);
    (offset == 0 ? smi_command_ : smi_status_) = value;
  }
  if (offset == 0 && (value == kSmiAcpiEnable || value == kSmiAcpiDisable)) {
    pm_->SetAcpiEnabled(value == kSmiAcpiEnable);
  }
}

void Ich9Lpc::Reset() {
  {
    const MutexLock lock(mutex_);
    smi_command_ = 0;
    smi_status_ = 0;
  }
  reset_control_->set_value(0);
  rcrb_->set_no_reboot(true);
  tco_->Reset();
  pm_->Reset();
  function_.Reset();
  ShowPorts();
  FollowConfig();
}

// LPC_EN (13.1.20) says which of a super I/O's ports are decoded. QEMU sets it to what the board has.
void Ich9Lpc::ShowPorts() {
  constexpr std::array<uint16_t, 4> kPorts = {0x3f8, 0x2f8, 0x378, 0x3f2};  // COM1, COM2, LPT1, floppy
  const std::shared_ptr<const FlatView> view = host_.io_space().view();
  unsigned decoded = 0;
  for (unsigned i = 0; i < kPorts.size(); i++) {
    decoded |= (view->Find(kPorts.at(i)) != nullptr ? 1U : 0U) << i;
  }
  static_cast<void>(function_.WriteConfig(kLpcEnable, 1, decoded));
}

void Ich9Lpc::Resume() {
  pm_->RedriveIrq();
  router_.Redrive();
}

void Ich9Lpc::Save(const StateWriter& writer) const {
  Ich9LpcState state;
  state.pm = pm_->Save();
  state.reset_control = reset_control_->value();
  state.no_reboot = rcrb_->no_reboot();
  {
    const MutexLock lock(mutex_);
    state.smi_command = smi_command_;
    state.smi_status = smi_status_;
  }
  function_.Save(writer);
  writer.Child("lpc").Put(state);
  writer.Child("tco").Put(tco_->Save());
}

Result<> Ich9Lpc::Load(const StateReader& reader) {
  const Ich9LpcState state = TRY(reader.Child("lpc").Get<Ich9LpcState>());
  const TcoState tco = TRY(reader.Child("tco").Get<TcoState>());
  TRY(function_.Load(reader));
  pm_->Load(state.pm);
  reset_control_->set_value(state.reset_control);
  rcrb_->set_no_reboot(state.no_reboot);
  tco_->Load(tco);
  {
    const MutexLock lock(mutex_);
    smi_command_ = state.smi_command;
    smi_status_ = state.smi_status;
  }
  FollowConfig();
  return {};
}

}  // namespace nandu

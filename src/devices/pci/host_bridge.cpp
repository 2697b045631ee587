#include "devices/pci/host_bridge.h"

#include <utility>

#include "devices/pci/pci_regs.h"

namespace nandu {

struct HostBridgeState {
  uint32_t config_address = 0;  // CF8h
};
BOOST_DESCRIBE_STRUCT(HostBridgeState, (), (config_address))

namespace {

constexpr PciIdentity kIdentity = {
    .vendor_id = 0x8086,
    .device_id = 0x29c0,
    .class_code = 0x060000,
    .subsystem_vendor_id = 0x1af4,
    .subsystem_id = 0x1100,
};

// Registers of device 0 (316966, table 5-1).
constexpr uint16_t kPciexbar = 0x60;
constexpr uint16_t kPam0 = 0x90;
constexpr uint16_t kSmram = 0x9d;
constexpr uint16_t kEsmramc = 0x9e;

// PCIEXBAR (5.1.16): enable, length, base address bits 35:28 (27 and 26 for shorter windows).
constexpr uint32_t kPciexbarReset = 0xb0000000;
constexpr uint32_t kPciexbarWritable = 0xfc000007;
constexpr uint32_t kPciexbarUpperWritable = 0x0000000f;
constexpr uint64_t kEcam256MiB = uint64_t{256} << 20;

// SMRAM (5.1.30): D_OPEN, D_CLS, D_LCK, G_SMRAME; C_BASE_SEG reads 010b. ESMRAMC (5.1.31).
constexpr uint8_t kSmramReset = 0x02;
constexpr uint8_t kSmramWritable = 0x78;
constexpr uint8_t kSmramOpen = 0x40;
constexpr uint8_t kSmramLock = 0x10;
constexpr uint8_t kSmramWritableLocked = 0x20;
constexpr uint8_t kEsmramcReset = 0x38;
constexpr uint8_t kEsmramcWritable = 0x87;

// Devices of the chipset (25 to 29 and 31) are wired pin by pin to PIRQA..D, slot 30 to PIRQE..H; all other
// slots turn through PIRQE..H, as QEMU sets up the chipset's routing registers.
unsigned PirqOf(uint8_t devfn, unsigned pin) {
  const unsigned slot = pci::Slot(devfn);
  if (slot < 25) {
    return 4 + (slot + pin) % 4;
  }
  return slot == 30 ? 4 + pin : pin;
}

PciBus::Options RootOptions(const Q35HostBridge::Options& options) {
  PciBus::Options root;
  root.id = "pcie.0";
  root.spaces = options.spaces;
  root.root_intx = options.set_pirq;
  root.root_line = PirqOf;
  return root;
}

}  // namespace

Q35HostBridge::Q35HostBridge(Options options)
    : options_(std::move(options)),
      root_(RootOptions(options_)),
      function_("mch", kIdentity, /*express=*/false),
      ports_(std::make_shared<ConfigPorts>(root_)),
      ecam_(std::make_shared<EcamWindow>(root_)) {
  function_.SetInitial(kPciexbar, 4, kPciexbarReset, kPciexbarWritable);
  function_.SetInitial(kPciexbar + 4, 4, 0, kPciexbarUpperWritable);
  function_.SetInitial(kPam0, 1, 0, 0x30);
  for (unsigned i = 1; i < kPamRegisters; i++) {
    function_.SetInitial(static_cast<uint16_t>(kPam0 + i), 1, 0, 0x33);
  }
  function_.SetInitial(kSmram, 1, kSmramReset, kSmramWritable);
  function_.SetInitial(kEsmramc, 1, kEsmramcReset, kEsmramcWritable);
  function_.SetConfigHook([this](uint16_t reg, unsigned size) { return ConfigWritten(reg, size); });
}

Result<std::unique_ptr<Q35HostBridge>> Q35HostBridge::Create(Options options) {
  std::unique_ptr<Q35HostBridge> bridge(new Q35HostBridge(std::move(options)));
  TRY(bridge->root_.Attach(bridge->function_, pci::DevFn(0, 0)));
  bridge->ports_mapping_ = TRY(
      bridge->options_.spaces.io->Map(ConfigPorts::kBase, Region::Io(bridge->ports_, ConfigPorts::kBytes)));
  return bridge;
}

Q35HostBridge::~Q35HostBridge() = default;

std::string Q35HostBridge::StatePath() const { return root_.StatePath() + "/" + function_.StateName(); }

void Q35HostBridge::EnableEcam(uint64_t base) {
  (void)function_.WriteConfig(kPciexbar + 4, 4, static_cast<uint32_t>(base >> 32));
  (void)function_.WriteConfig(kPciexbar, 4, static_cast<uint32_t>(base) | 1);
}

bool Q35HostBridge::ecam_enabled() const { return (function_.ReadConfig(kPciexbar, 4) & 1) != 0; }

uint64_t Q35HostBridge::ecam_base() const {
  const uint64_t bar = function_.ReadConfig(kPciexbar, 4) |
                       static_cast<uint64_t>(function_.ReadConfig(kPciexbar + 4, 4)) << 32;
  return (bar & 1) != 0 ? bar & ~(kEcam256MiB - 1) : kPciexbarReset;
}

void Q35HostBridge::OpenShadowRam() {
  (void)function_.WriteConfig(kPam0, 1, 0x30);
  (void)function_.WriteConfig(kPam0 + 1, 2, 0x3333);
  (void)function_.WriteConfig(kPam0 + 3, 4, 0x33333333);
}

std::array<uint8_t, Q35HostBridge::kPamRegisters> Q35HostBridge::pam() const {
  std::array<uint8_t, kPamRegisters> values{};
  for (unsigned i = 0; i < kPamRegisters; i++) {
    values.at(i) = static_cast<uint8_t>(function_.ReadConfig(static_cast<uint16_t>(kPam0 + i), 1));
  }
  return values;
}

ExitDone Q35HostBridge::ConfigWritten(uint16_t reg, unsigned size) {
  const unsigned end = reg + size;
  if ((reg < kPciexbar + 8 && end > kPciexbar) || (reg <= kEsmramc && end > kSmram)) {
    FollowRegisters();
  }
  if (reg < kPam0 + kPamRegisters && end > kPam0) {
    AnnouncePam();
  }
  return ExitDone::Done();
}

void Q35HostBridge::FollowRegisters() {
  // Within the transaction, so that of two vCPUs that write at once the later one's registers count.
  const AddressSpace::Transaction transaction;
  LockSmram((function_.ReadConfig(kSmram, 1) & kSmramLock) != 0);
  const uint64_t bar = function_.ReadConfig(kPciexbar, 4) |
                       static_cast<uint64_t>(function_.ReadConfig(kPciexbar + 4, 4)) << 32;
  const unsigned length = bar >> 1 & 3;  // 256, 128 or 64 MiB; 3 is reserved
  ecam_mapping_ = Mapping();
  if ((bar & 1) != 0 && length != 3) {
    const uint64_t bytes = kEcam256MiB >> length;
    Result<Mapping> mapping = options_.spaces.memory->Map(bar & ~(bytes - 1), Region::Io(ecam_, bytes));
    if (mapping) {
      ecam_mapping_ = std::move(mapping).value();
    }
  }
}

void Q35HostBridge::AnnouncePam() {
  if (options_.pam_changed) {
    const AddressSpace::Transaction transaction;
    options_.pam_changed(pam());
  }
}

void Q35HostBridge::LockSmram(bool locked) {
  // 5.1.30: once set, D_LCK stays until reset, clears D_OPEN, and makes G_SMRAME and all of ESMRAMC but
  // E_SMERR read-only.
  function_.SetWritable(kSmram, 1, locked ? kSmramWritableLocked : kSmramWritable);
  function_.SetWritable(kEsmramc, 1, locked ? 0 : kEsmramcWritable);
  if (locked) {
    function_.SetStatusBits(kSmram, 1, 0, kSmramOpen);
  }
}

void Q35HostBridge::Reset() {
  ports_->set_address(0);
  LockSmram(false);
  function_.Reset();
  FollowRegisters();
  AnnouncePam();
}

void Q35HostBridge::Save(const StateWriter& writer) const {
  function_.Save(writer);
  writer.Child("host-bridge").Put(HostBridgeState{ports_->address()});
}

Result<> Q35HostBridge::Load(const StateReader& reader) {
  const HostBridgeState state = TRY(reader.Child("host-bridge").Get<HostBridgeState>());
  LockSmram(false);  // the saved registers may differ in every bit a guest could have written
  const Result<> loaded = function_.Load(reader);
  FollowRegisters();
  TRY(loaded);
  ports_->set_address(state.config_address);
  AnnouncePam();
  return {};
}

}  // namespace nandu

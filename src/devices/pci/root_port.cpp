#include "devices/pci/root_port.h"

#include <array>

#include "devices/pci/pci_caps.h"
#include "devices/pci/pci_regs.h"

namespace nandu {

namespace {

constexpr uint16_t kMaxPhysicalSlot = 0x1fff;
constexpr unsigned kMsixBar = 0;

// Where the capabilities land (QEMU's offsets; the guest reads them from the chain).
constexpr uint16_t kSubsystemBytes = 8;
constexpr uint16_t kExpressBytes = 0x3c;

constexpr uint16_t kExtendedAer = 0x0001;
constexpr uint16_t kExtendedAcs = 0x000d;

// The link of an empty slot shows what the port can do: 16 GT/s, 32 lanes.
constexpr uint16_t kLinkEmpty = 0x0204;
constexpr uint16_t kLinkOneLane = 0x0011;
constexpr uint16_t kLinkSpeedAndWidth = 0x03ff;

PciIdentity Identity(const PcieRootPortOptions& options) {
  PciIdentity identity;
  identity.vendor_id = 0x1b36;
  identity.device_id = 0x000c;
  identity.class_code = 0x060400;
  identity.interrupt_pin = 1;
  identity.bridge = true;
  identity.multifunction = options.multifunction;
  return identity;
}

CapabilityBody ExpressCapability(const PcieRootPortOptions& options) {
  CapabilityBody caps(CapabilityBody::Space::kLegacy, kExpressBytes);
  caps.Field(0x02, 2, 0x0142);      // version 2, root port, slot implemented
  caps.Field(0x04, 4, 0x00008000);  // role-based error reporting
  caps.Field(0x08, 2, 0, 0x000f);   // error reporting enables
  caps.Field(0x0c, 4,
             0x00300604 | static_cast<uint32_t>(options.port)
                              << 24);  // 16 GT/s, x32, ASPM L0s, active reporting
  caps.Field(0x12, 2, kLinkEmpty);
  caps.Field(0x14, 4,
             static_cast<uint32_t>(options.slot) << 19);  // no buttons, indicators, power control or hot-plug
  caps.Field(0x1c, 2, 0, 0x0007);                         // system error enables
  caps.Field(0x24, 4, 0x00300020);                        // ARI forwarding, extended format, end-end prefixes
  caps.Field(0x28, 2, 0, 0x8020);                         // ARI forwarding, end-end prefix blocking
  caps.Field(0x2c, 4, 0x0000001e);                        // 2.5, 5, 8 and 16 GT/s
  caps.Field(0x30, 2, 0x0004);                            // target 16 GT/s
  return caps;
}

// PCI Express Base 5.0, section 7.8.4. No error is ever reported; masks and severities are kept for the
// guest.
CapabilityBody ErrorReporting() {
  CapabilityBody caps(CapabilityBody::Space::kExtended, 0x48);
  caps.Field(0x0c, 4, 0x00462030, 0x03fff030);  // uncorrectable severity
  caps.Field(0x14, 4, 0x0000e000, 0x0000f1c1);  // correctable mask
  caps.Field(0x18, 4, 0x000002a0, 0x00000540);  // ECRC capable, multiple headers
  caps.Field(0x2c, 4, 0, 0x00000007);           // root error command
  return caps;
}

// Section 7.7.8: what a root port with one function per slot below it can promise.
CapabilityBody AccessControl() {
  CapabilityBody caps(CapabilityBody::Space::kExtended, 8);
  caps.Field(0x04, 2, 0x005f);
  caps.Field(0x06, 2, 0, 0x005f);
  return caps;
}

}  // namespace

Result<> Validate(const PcieRootPortOptions& options) {
  if (options.slot > kMaxPhysicalSlot) {
    return Fail(Errc::kInvalidArgument, "slot={} is too large; a physical slot number is 0 to {}",
                options.slot, kMaxPhysicalSlot);
  }
  if (options.hotplug.value_or(false)) {
    return Fail(Errc::kUnsupported,
                "hotplug=on cannot be served by this port; leave it out or say hotplug=off");
  }
  if (options.romfile && !options.romfile->empty()) {
    return Fail(Errc::kUnsupported, "romfile={}: a pcie-root-port has no expansion ROM; leave it out",
                *options.romfile);
  }
  return {};
}

PcieRootPort::PcieRootPort(std::string id, const PcieRootPortOptions& options, PciBus& parent)
    : id_(std::move(id)),
      options_(options),
      parent_(parent),
      function_(id_, Identity(options), /*express=*/true) {}

Result<std::unique_ptr<PcieRootPort>> PcieRootPort::Create(const std::string& id,
                                                           const PcieRootPortOptions& options, PciBus& parent,
                                                           MsiAllocator& msi) {
  if (parent.parent() != nullptr) {
    return Fail(Errc::kInvalidArgument, "a pcie-root-port belongs on the root bus, not on {}; leave bus= out",
                parent.id());
  }
  const int devfn = TRY(ParsePciAddress(options.addr));
  std::unique_ptr<PcieRootPort> port(new PcieRootPort(id, options, parent));
  TRY(parent.ClaimPhysicalSlot(options.chassis, options.slot, id));
  port->owns_physical_slot_ = true;
  TRY(port->AddCapabilities(msi));
  PciBus::Options below;
  below.id = id;
  below.spaces = parent.spaces();
  below.bridge = &port->function_;
  below.parent = &parent;
  below.slots = 1;
  below.on_population = [raw = port.get()] { raw->ShowLink(); };
  port->secondary_ = std::make_unique<PciBus>(std::move(below));
  TRY(parent.Attach(port->function_, devfn));
  return port;
}

PcieRootPort::~PcieRootPort() {
  if (owns_physical_slot_) {
    parent_.ReleasePhysicalSlot(options_.chassis, options_.slot);
  }
}

Result<> PcieRootPort::AddCapabilities(MsiAllocator& msi) {
  CapabilityBody subsystem(CapabilityBody::Space::kLegacy, kSubsystemBytes);
  subsystem.Field(0x04, 2, function_.identity().vendor_id);
  TRY(function_.AddCapability(pci::kCapSubsystem, subsystem.body()));
  TRY(function_.EnableMsix(1, kMsixBar, msi));
  const CapabilityBody express = ExpressCapability(options_);
  TRY(function_.AddCapability(pci::kCapExpress, express.body(), express.writable()));
  const CapabilityBody errors = ErrorReporting();
  TRY(function_.AddExtendedCapability(kExtendedAer, 2, errors.body(), errors.writable()));
  const CapabilityBody access = AccessControl();
  TRY(function_.AddExtendedCapability(kExtendedAcs, 1, access.body(), access.writable()));
  return {};
}

void PcieRootPort::ShowLink() {
  const uint16_t express = function_.FindCapability(pci::kCapExpress);
  uint32_t link = kLinkEmpty;
  PciFunction* const below = secondary_->FindFunction(0);
  if (below != nullptr) {
    const uint16_t theirs = below->FindCapability(pci::kCapExpress);
    link = theirs == 0 ? kLinkOneLane
                       : below->ReadConfig(static_cast<uint16_t>(theirs + pci::kExpressLinkCaps), 2) &
                             kLinkSpeedAndWidth;
    link |= pci::kLinkStatusActive;
  }
  function_.SetInitial(static_cast<uint16_t>(express + pci::kExpressLinkStatus), 2, link, 0);
  function_.SetInitial(static_cast<uint16_t>(express + pci::kExpressSlotStatus), 2,
                       below != nullptr ? pci::kSlotStatusPresent : 0, 0);
}

std::string PcieRootPort::StatePath() const { return parent_.StatePath() + "/" + function_.StateName(); }

}  // namespace nandu

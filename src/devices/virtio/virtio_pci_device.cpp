#include "devices/virtio/virtio_pci_device.h"

#include <optional>

#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_caps.h"
#include "devices/virtio/virtio_pci_wire.h"

namespace nandu {
namespace {

// virtio 1.2, 4.1.2.1: the device ids of transitional devices.
std::optional<uint16_t> TransitionalId(uint16_t type) {
  switch (type) {
    case 1: return 0x1000;  // net
    case 2: return 0x1001;  // block
    case 3: return 0x1003;  // console
    case 4: return 0x1005;  // entropy
    case 5: return 0x1002;  // balloon
    case 8: return 0x1004;  // SCSI host
    case 9: return 0x1009;  // 9P
    default: return std::nullopt;
  }
}

bool BehindPort(const PciBus& bus) { return bus.express() && bus.parent() != nullptr; }

Result<VirtioPciTraits> TraitsOf(const PciBus& bus, const VirtioPciOptions& options, unsigned default_vectors,
                                 uint16_t type) {
  TRY(Validate(options));
  const bool can_be_legacy = TransitionalId(type).has_value();
  const bool asked = options.disable_legacy == OnOffAuto::kOff || options.disable_modern;
  if (asked && !can_be_legacy) {
    return Fail(Errc::kInvalidArgument,
                "this device has no legacy interface; leave disable-legacy and disable-modern out");
  }
  VirtioPciTraits traits;
  traits.modern = !options.disable_modern;
  traits.legacy =
      can_be_legacy && (asked || (options.disable_legacy == OnOffAuto::kAuto && !BehindPort(bus)));
  traits.packed = options.packed;
  traits.event_index = options.event_idx;
  traits.indirect_desc = options.indirect_desc;
  traits.any_layout = options.any_layout;
  traits.notify_on_empty = options.notify_on_empty;
  traits.queue_reset = options.queue_reset;
  traits.ioeventfd = options.ioeventfd;
  traits.vectors = options.vectors.value_or(default_vectors);
  return traits;
}

// As QEMU 7.2: a transitional device says its type in the subsystem id, a modern one in the device id.
PciIdentity IdentityOf(const VirtioDevice& device, const VirtioPciTraits& traits, bool multifunction) {
  PciIdentity identity;
  identity.vendor_id = identity.subsystem_vendor_id = virtio::kVendorId;
  identity.device_id = traits.legacy ? TransitionalId(device.type()).value_or(0)
                                     : static_cast<uint16_t>(virtio::kModernDeviceId + device.type());
  identity.revision = traits.legacy ? 0 : 1;
  identity.class_code = device.pci_class();
  identity.subsystem_id = traits.legacy ? device.type() : virtio::kModernSubsystemId;
  identity.interrupt_pin = 1;
  identity.multifunction = multifunction;
  return identity;
}

}  // namespace

VirtioPciDevice::VirtioPciDevice(PciBus& bus, const VirtioPciSpec& spec, const PciIdentity& identity,
                                 bool express, std::unique_ptr<VirtioDevice> device)
    : spec_(spec), bus_(bus), device_(std::move(device)), function_(spec.id, identity, express) {}

Result<std::unique_ptr<VirtioPciDevice>> VirtioPciDevice::Attach(PciBus& bus, MsiAllocator& msi,
                                                                 const VirtioPciSpec& spec,
                                                                 const VirtioPciOptions& options,
                                                                 std::unique_ptr<VirtioDevice> device) {
  const int devfn = TRY(ParsePciAddress(options.addr));
  const VirtioPciTraits traits = TRY(TraitsOf(bus, options, spec.default_vectors, device->type()));
  const PciIdentity identity = IdentityOf(*device, traits, options.multifunction);
  std::unique_ptr<VirtioPciDevice> made(
      new VirtioPciDevice(bus, spec, identity, BehindPort(bus), std::move(device)));
  TRY(made->Build(traits, msi));
  TRY(bus.Attach(made->function_, devfn));
  return made;
}

Result<std::unique_ptr<Device>> VirtioPciDevice::Create(DeviceHost& host, const VirtioPciSpec& spec,
                                                        const VirtioPciOptions& options,
                                                        std::unique_ptr<VirtioDevice> device) {
  PciBus* const bus = TRY(host.FindPciBus(options.bus));
  VirtioPciSpec with_rom = spec;
  with_rom.rom = TRY(Prefix(LoadPciRom(host, spec.id, options), spec.id));
  std::unique_ptr<VirtioPciDevice> made =
      TRY(Prefix(Attach(*bus, host.msi(), with_rom, options, std::move(device)), spec.id));
  return std::unique_ptr<Device>(std::move(made));
}

Result<> VirtioPciDevice::Build(const VirtioPciTraits& traits, MsiAllocator& msi) {
  if (function_.express()) {
    TRY(AddExpressEndpoint(function_));
    TRY(AddPowerManagement(function_));
  }
  transport_ = TRY(VirtioPciTransport::Create(*device_, function_, traits, msi));
  if (spec_.rom) {
    TRY(function_.AddRom(spec_.rom->image, spec_.rom->bar_bytes));
  }
  return {};
}

VirtioPciDevice::~VirtioPciDevice() {
  // Off the bus before the transport goes: its registers answer no more.
  if (bus_.FindFunction(function_.devfn()) == &function_) {
    bus_.Detach(function_);
  }
}

std::string VirtioPciDevice::StatePath() const { return bus_.StatePath() + "/" + function_.StateName(); }

void VirtioPciDevice::Reset() {
  function_.Reset();
  transport_->Reset();
}

void VirtioPciDevice::Save(const StateWriter& writer) const {
  function_.Save(writer);
  transport_->Save(writer);
}

Result<> VirtioPciDevice::Load(const StateReader& reader) {
  TRY(function_.Load(reader));
  return transport_->Load(reader);
}

}  // namespace nandu

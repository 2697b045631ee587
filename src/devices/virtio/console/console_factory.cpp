// From options to a virtio-serial bus and to the ports on it.
#include "devices/virtio/console/console_factory.h"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "devices/virtio/console/console_device.h"
#include "devices/virtio/virtio_pci_device.h"

namespace nandu {
namespace {

constexpr std::string_view kBusKind = "virtio-serial-bus";
constexpr size_t kMaxName = 255;  // of a port; a guest's buffer for it is a page

// The bus others find, and the PCI device it is the back of.
class SerialBusDevice final : public Device, public DeviceBus {
 public:
  SerialBusDevice(DeviceHost& host, std::string bus_id, std::unique_ptr<Device> pci_device,
                  ConsoleDevice& console)
      : host_(host), bus_id_(std::move(bus_id)), device_(std::move(pci_device)), console_(console) {
    host_.OfferBus(*this);
  }
  ~SerialBusDevice() override { host_.WithdrawBus(*this); }

  ConsoleDevice& console() { return console_; }
  std::weak_ptr<bool> alive() const { return alive_; }  // for a port that is taken down after its bus

  // ---- DeviceBus ----
  std::string_view kind() const override { return kBusKind; }
  const std::string& bus_id() const override { return bus_id_; }

  // ---- Device: the PCI device's ----
  const std::string& id() const override { return device_->id(); }
  std::string_view driver() const override { return device_->driver(); }
  std::string StatePath() const override { return device_->StatePath(); }
  PciFunction* pci() override { return device_->pci(); }
  void Reset() override { device_->Reset(); }
  void Quiesce(UniqueFunction<void()> done) override { device_->Quiesce(std::move(done)); }
  std::vector<std::string> StuckRequests() const override { return device_->StuckRequests(); }
  void Resume() override { device_->Resume(); }
  void Save(const StateWriter& writer) const override { device_->Save(writer); }
  Result<> Load(const StateReader& reader) override { return device_->Load(reader); }

 private:
  DeviceHost& host_;
  const std::string bus_id_;
  const std::unique_ptr<Device> device_;
  ConsoleDevice& console_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// A port as a device of its own. What it remembers is saved with its bus.
class PortDevice final : public Device {
 public:
  PortDevice(std::string id, std::string_view driver, SerialBusDevice& bus, uint32_t number)
      : id_(std::move(id)),
        driver_(driver),
        bus_(bus),
        bus_alive_(bus.alive()),
        state_path_(Format("{}/port{}", bus.StatePath(), number)),
        number_(number) {}
  ~PortDevice() override {
    if (!bus_alive_.expired()) {
      bus_.console().RemovePort(number_);
    }
  }

  const std::string& id() const override { return id_; }
  std::string_view driver() const override { return driver_; }
  std::string StatePath() const override { return state_path_; }
  void Reset() override {}
  void Quiesce(UniqueFunction<void()> done) override { done(); }
  std::vector<std::string> StuckRequests() const override { return {}; }
  void Resume() override {}
  void Save(const StateWriter& /*writer*/) const override {}
  Result<> Load(const StateReader& /*reader*/) override { return {}; }

 private:
  const std::string id_;
  const std::string_view driver_;
  SerialBusDevice& bus_;
  const std::weak_ptr<bool> bus_alive_;
  const std::string state_path_;
  const uint32_t number_;
};

constexpr VirtioPciNames kNames = {
    {"virtio-serial-pci", "virtio-serial-pci-transitional", "virtio-serial-pci-non-transitional"},
    "virtio-serial",
    "a bus for consoles and serial ports"};

Result<std::unique_ptr<Device>> CreateBus(DeviceHost& host, const std::string& id,
                                          const VirtioSerialOptions& parsed, std::string_view driver) {
  EventLoop* const loop = TRY(host.FindIoLoop({}));
  auto console = std::make_unique<ConsoleDevice>(
      host.control(), *loop,
      ConsoleDevice::Options{.max_ports = parsed.max_ports, .emergency_write = parsed.emergency_write});
  ConsoleDevice& device = *console;
  VirtioPciSpec spec;
  spec.id = id;
  spec.driver = driver;
  std::unique_ptr<Device> pci_device = TRY(VirtioPciDevice::Create(host, spec, parsed, std::move(console)));
  // As QEMU names buses: ID.0, or KIND.N for a device without an id.
  std::string bus_id = id + ".0";
  if (id.empty() || id.front() == '#') {
    unsigned number = 0;
    do {
      bus_id = Format("{}.{}", kBusKind, number++);
    } while (host.FindBus(kBusKind, bus_id) != nullptr);
  }
  return std::make_unique<SerialBusDevice>(host, std::move(bus_id), std::move(pci_device), device);
}

Result<std::unique_ptr<Device>> CreatePort(DeviceHost& host, const std::string& id,
                                           const boost::json::object& options, std::string_view driver,
                                           PortKind kind) {
  const VirtioPortOptions parsed =
      TRY(FromJson<VirtioPortOptions>(options, {.path = driver, .field_word = "property", .lenient = true}));
  auto* const bus = dynamic_cast<SerialBusDevice*>(host.FindBus(kBusKind, parsed.bus.value_or("")));
  if (bus == nullptr && parsed.bus) {
    return Fail(
        Errc::kNotFound,
        "{}: there is no virtio-serial bus '{}'; name it as ID.0 of a -device virtio-serial-pci before it",
        driver, *parsed.bus);
  }
  if (bus == nullptr) {
    return Fail(Errc::kNotFound, "{}: there is no virtio-serial bus; put -device virtio-serial-pci before it",
                driver);
  }
  ConsoleDevice::NewPort port;
  port.kind = kind;
  port.number = parsed.nr;
  port.name = parsed.name.value_or("");
  if (port.name.size() > kMaxName) {
    return Fail(Errc::kInvalidArgument, "{}: name= is longer than {} bytes", driver, kMaxName);
  }
  if (parsed.chardev) {
    port.chardev = TRY(host.ClaimChardev(*parsed.chardev, id.empty() ? std::string(driver) : id));
  }
  const uint32_t number = TRY(Prefix(bus->console().AddPort(std::move(port)), driver));
  return std::make_unique<PortDevice>(id, driver, *bus, number);
}

}  // namespace

Result<> Validate(const VirtioSerialOptions& options) {
  TRY(Validate(static_cast<const VirtioPciOptions&>(options)));
  if (options.max_ports == 0 || options.max_ports > console::kMaxPorts) {
    return Fail(Errc::kInvalidArgument, "max_ports={} is out of range; 1 to {} are possible",
                options.max_ports, console::kMaxPorts);
  }
  return {};
}

const DeviceFactory& VirtioSerialPciFactory(VirtioPciVariant variant) {
  return VirtioPciFactoryOf<kNames, VirtioSerialOptions, CreateBus>(variant);
}

const DeviceFactory& VirtconsoleFactory() {
  static const DeviceFactory kFactory = {
      .driver = "virtconsole",
      .aliases = {},
      .description = "a console (hvc) on a virtio-serial bus",
      .bus = "virtio-serial-bus",
      .options = [] { return &TypeOf<VirtioPortOptions>(); },
      .create =
          [](DeviceHost& host, const std::string& id, const boost::json::object& options) {
            return CreatePort(host, id, options, "virtconsole", PortKind::kConsole);
          },
  };
  return kFactory;
}

const DeviceFactory& VirtserialportFactory() {
  static const DeviceFactory kFactory = {
      .driver = "virtserialport",
      .aliases = {},
      .description = "a named serial port on a virtio-serial bus",
      .bus = "virtio-serial-bus",
      .options = [] { return &TypeOf<VirtioPortOptions>(); },
      .create =
          [](DeviceHost& host, const std::string& id, const boost::json::object& options) {
            return CreatePort(host, id, options, "virtserialport", PortKind::kSerial);
          },
  };
  return kFactory;
}

}  // namespace nandu

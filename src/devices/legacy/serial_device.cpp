#include "devices/legacy/serial_device.h"

#include <array>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/described.h"
#include "devices/legacy/byte_ports.h"
#include "devices/legacy/uart_registers.h"
#include "state/state.h"

namespace nandu {

BOOST_DESCRIBE_STRUCT(UartState, (),
                      (interrupt_enable, fifo_control, line_control, modem_control, line_errors, modem_status,
                       scratch, divisor, transmit_pending, timeout_pending, received, transmit))

namespace {

struct Place {
  uint16_t io_base;
  unsigned irq;
};
constexpr std::array<Place, 4> kPlaces = {{{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}}};
constexpr unsigned kIsaIrqs = 16;

}  // namespace

Result<std::unique_ptr<SerialDevice>> SerialDevice::Create(DeviceHost& host, Options options) {
  if (options.index >= kPlaces.size()) {
    return Fail(Errc::kInvalidArgument, "index={} is out of range; serial ports are 0 to 3", options.index);
  }
  if (options.irq && *options.irq >= kIsaIrqs) {
    return Fail(Errc::kInvalidArgument, "irq={} is out of range; ISA interrupts are 0 to 15", *options.irq);
  }
  if (options.io_base && *options.io_base > 0x10000 - uart::kRegisters) {
    return Fail(Errc::kInvalidArgument, "iobase={:#x} leaves no room for eight ports", *options.io_base);
  }
  std::unique_ptr<SerialDevice> device(new SerialDevice(host, options));
  SerialDevice* const self = device.get();
  if (device->chardev_) {
    Chardev::FrontEnd front_end;
    front_end.room = [self] { return self->quiesced_ ? size_t{0} : self->uart_.Room(); };
    front_end.data = [self](std::span<const std::byte> bytes) { self->uart_.Receive(bytes); };
    front_end.break_condition = [self] { self->uart_.ReceiveBreak(); };
    TRY(device->chardev_->Attach(std::move(front_end)));
    device->attached_ = true;
  }
  device->mapping_ = TRY(host.io_space().Map(
      device->io_base_,
      Region::Io(
          std::make_shared<BytePorts>(
              Format("serial{}", options.index), [self](unsigned reg) { return self->uart_.Read(reg); },
              [self](unsigned reg, uint8_t value) { self->uart_.Write(reg, value); }),
          uart::kRegisters)));
  return device;
}

SerialDevice::SerialDevice(DeviceHost& host, const Options& options)
    : LegacyDevice(options.id, "isa-serial", Format("/machine/isa/serial{}", options.index)),
      loop_(host.control()),
      index_(options.index),
      io_base_(options.io_base.value_or(kPlaces[options.index].io_base)),
      irq_number_(options.irq.value_or(kPlaces[options.index].irq)),
      chardev_(options.chardev),
      alive_(std::make_shared<bool>(true)),
      irq_(host.ClaimIsaIrq(irq_number_)),
      uart_(*irq_, host.clock(), [this] { WantInput(); }),
      output_(CharOutput::Create(loop_, chardev_, Uart::kQueueBytes, [this] { uart_.OnDrained(); })) {
  uart_.Connect(output_);
}

SerialDevice::~SerialDevice() {
  mapping_ = Mapping();
  output_->Close();
  if (attached_) {
    chardev_->Detach();
  }
}

void SerialDevice::WantInput() {
  if (!chardev_) {
    return;
  }
  loop_.Post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired() && !quiesced_) {
      chardev_->AcceptInput();
    }
  });
}

void SerialDevice::Reset() { uart_.Reset(); }

void SerialDevice::Quiesce(UniqueFunction<void()> done) {
  quiesced_ = true;
  output_->Hold();
  done();
}

void SerialDevice::Resume() {
  quiesced_ = false;
  uart_.RedriveIrq();
  output_->Release();
  if (chardev_) {
    chardev_->AcceptInput();
  }
}

void SerialDevice::Save(const StateWriter& writer) const { writer.Put(uart_.Save()); }

Result<> SerialDevice::Load(const StateReader& reader) {
  const UartState state = TRY(reader.Get<UartState>());
  uart_.Load(state);
  return {};
}

void SerialDevice::ContributeAcpi(AmlSink& sink) const {
  sink.AddIsaDevice({.name = Format("COM{}", index_ + 1),
                     .hid = "PNP0501",
                     .uid = index_ + 1,
                     .io = {{io_base_, uart::kRegisters}},
                     .irq = static_cast<int>(irq_number_)});
}

// ---- -device isa-serial ----

struct IsaSerialOptions {
  std::string chardev;
  std::optional<uint32_t> index;
  std::optional<uint16_t> iobase;
  std::optional<uint32_t> irq;
};
BOOST_DESCRIBE_STRUCT(IsaSerialOptions, (), (chardev, index, iobase, irq))

namespace {

Result<std::unique_ptr<Device>> CreateIsaSerial(DeviceHost& host, const std::string& id,
                                                const boost::json::object& options) {
  const auto parsed = TRY(
      FromJson<IsaSerialOptions>(boost::json::value(options), {.field_word = "property", .lenient = true}));
  if (parsed.chardev.empty()) {
    return Fail(Errc::kInvalidArgument, "isa-serial needs chardev=ID; make one with -chardev");
  }
  SerialDevice::Options serial;
  serial.id = id;
  serial.io_base = parsed.iobase;
  serial.irq = parsed.irq;
  if (parsed.index) {
    serial.index = *parsed.index;
  } else {
    // The first port that nobody has.
    const auto view = host.io_space().view();
    while (serial.index < kPlaces.size() && view->Find(kPlaces[serial.index].io_base) != nullptr) {
      serial.index++;
    }
    if (serial.index == kPlaces.size()) {
      return Fail(Errc::kBusy, "all four serial ports are in use");
    }
  }
  serial.chardev = TRY(host.ClaimChardev(parsed.chardev, id));
  auto device = TRY(SerialDevice::Create(host, std::move(serial)));
  return std::unique_ptr<Device>(std::move(device));
}

const TypeInfo* IsaSerialOptionsType() { return &TypeOf<IsaSerialOptions>(); }

constexpr DeviceFactory kIsaSerial = {.driver = "isa-serial",
                                      .aliases = {},
                                      .description = "16550A serial port",
                                      .bus = "ISA",
                                      .options = IsaSerialOptionsType,
                                      .create = CreateIsaSerial};

}  // namespace

const DeviceFactory& IsaSerialFactory() { return kIsaSerial; }

}  // namespace nandu

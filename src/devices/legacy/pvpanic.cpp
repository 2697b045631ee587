#include "devices/legacy/pvpanic.h"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/described.h"
#include "devices/legacy/byte_ports.h"

namespace nandu {

struct PvPanicOptions {
  uint16_t ioport = 0x505;
  uint8_t events = 3;
};
BOOST_DESCRIBE_STRUCT(PvPanicOptions, (), (ioport, events))

namespace {

constexpr uint8_t kPanicked = 1;
constexpr uint8_t kCrashKernelLoaded = 2;

}  // namespace

PvPanic::PvPanic(DeviceHost& host, const Options& options)
    : LegacyDevice(options.id, "pvpanic", "/machine/isa/pvpanic"),
      host_(host),
      io_base_(options.io_base),
      events_(options.events & (kPanicked | kCrashKernelLoaded)) {}

Result<std::unique_ptr<PvPanic>> PvPanic::Create(DeviceHost& host, const Options& options) {
  std::unique_ptr<PvPanic> device(new PvPanic(host, options));
  PvPanic* const self = device.get();
  device->mapping_ = TRY(host.io_space().Map(
      options.io_base, Region::Io(std::make_shared<BytePorts>(
                                      "pvpanic", [self](unsigned) { return self->events_; },
                                      [self](unsigned, uint8_t value) { self->WriteEvents(value); }),
                                  1)));
  return device;
}

void PvPanic::WriteEvents(uint8_t value) {
  const unsigned known = value & events_;
  if ((known & kPanicked) != 0) {
    host_.GuestPanicked("guest-panicked");
  } else if ((known & kCrashKernelLoaded) != 0) {
    host_.GuestCrashLoaded();
  } else {
    ignored_.Add();
  }
}

void PvPanic::ContributeAcpi(AmlSink& sink) const {
  sink.AddIsaDevice({.name = "PEVT", .hid = "QEMU0001", .io = {{io_base_, 1}}});
}

namespace {

Result<std::unique_ptr<Device>> CreatePvPanic(DeviceHost& host, const std::string& id,
                                              const boost::json::object& options) {
  const auto parsed =
      TRY(FromJson<PvPanicOptions>(boost::json::value(options), {.field_word = "property", .lenient = true}));
  auto device = TRY(PvPanic::Create(host, {.id = id, .io_base = parsed.ioport, .events = parsed.events}));
  return std::unique_ptr<Device>(std::move(device));
}

const TypeInfo* PvPanicOptionsType() { return &TypeOf<PvPanicOptions>(); }

constexpr DeviceFactory kPvPanic = {.driver = "pvpanic",
                                    .aliases = {},
                                    .description = "port by which a guest reports a panic",
                                    .bus = "ISA",
                                    .options = PvPanicOptionsType,
                                    .create = CreatePvPanic};

}  // namespace

const DeviceFactory& PvPanicFactory() { return kPvPanic; }

}  // namespace nandu

#include "devices/legacy/debugcon.h"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "devices/legacy/byte_ports.h"
#include "state/state.h"

namespace nandu {

struct DebugConsoleState {
  std::vector<std::byte> queued;  // not yet taken by the backend
};
BOOST_DESCRIBE_STRUCT(DebugConsoleState, (), (queued))
Result<> Validate(const DebugConsoleState& state) {
  if (state.queued.size() > DebugConsole::kQueueBytes) {
    return Fail(Errc::kCorrupt, "queued holds {} bytes, its queue {}", state.queued.size(),
                DebugConsole::kQueueBytes);
  }
  return {};
}

struct IsaDebugconOptions {
  std::string chardev;
  uint16_t iobase = 0xe9;
  uint32_t readback = 0xe9;
};
BOOST_DESCRIBE_STRUCT(IsaDebugconOptions, (), (chardev, iobase, readback))

DebugConsole::DebugConsole(DeviceHost& host, Options options)
    : LegacyDevice(options.id, "isa-debugcon", Format("/machine/isa/debugcon-{:x}", options.io_base)),
      chardev_(std::move(options.chardev)),
      readback_(options.readback),
      output_(CharOutput::Create(host.control(), chardev_, kQueueBytes, nullptr)) {}

Result<std::unique_ptr<DebugConsole>> DebugConsole::Create(DeviceHost& host, Options options) {
  const uint16_t io_base = options.io_base;
  std::unique_ptr<DebugConsole> device(new DebugConsole(host, std::move(options)));
  DebugConsole* const self = device.get();
  if (device->chardev_) {
    Chardev::FrontEnd front_end;  // it has no receiver
    front_end.room = [] { return size_t{0}; };
    front_end.data = [](std::span<const std::byte>) {};
    TRY(device->chardev_->Attach(std::move(front_end)));
    device->attached_ = true;
  }
  device->mapping_ = TRY(host.io_space().Map(
      io_base, Region::Io(std::make_shared<BytePorts>(
                              "debugcon", [self](unsigned) { return static_cast<uint8_t>(self->readback_); },
                              [self](unsigned, uint8_t value) {
                                if (!self->output_->Push(value)) {
                                  self->dropped_.Add();
                                }
                              }),
                          1)));
  return device;
}

DebugConsole::~DebugConsole() {
  mapping_ = Mapping();
  output_->Close();
  if (attached_) {
    chardev_->Detach();
  }
}

void DebugConsole::Quiesce(UniqueFunction<void()> done) {
  output_->Hold();
  done();
}

void DebugConsole::Resume() { output_->Release(); }

void DebugConsole::Save(const StateWriter& writer) const {
  DebugConsoleState state;
  for (const char c : output_->Queued()) {
    state.queued.push_back(static_cast<std::byte>(c));
  }
  writer.Put(state);
}

Result<> DebugConsole::Load(const StateReader& reader) {
  const DebugConsoleState state = TRY(reader.Get<DebugConsoleState>());
  std::string queued;
  for (const std::byte byte : state.queued) {
    queued.push_back(static_cast<char>(byte));
  }
  output_->SetQueued(std::move(queued));
  return {};
}

namespace {

Result<std::unique_ptr<Device>> CreateDebugcon(DeviceHost& host, const std::string& id,
                                               const boost::json::object& options) {
  const auto parsed = TRY(
      FromJson<IsaDebugconOptions>(boost::json::value(options), {.field_word = "property", .lenient = true}));
  if (parsed.chardev.empty()) {
    return Fail(Errc::kInvalidArgument, "isa-debugcon needs chardev=ID; make one with -chardev");
  }
  auto chardev = TRY(host.ClaimChardev(parsed.chardev, id));
  auto device = TRY(DebugConsole::Create(
      host,
      {.id = id, .io_base = parsed.iobase, .readback = parsed.readback, .chardev = std::move(chardev)}));
  return std::unique_ptr<Device>(std::move(device));
}

const TypeInfo* IsaDebugconOptionsType() { return &TypeOf<IsaDebugconOptions>(); }

constexpr DeviceFactory kDebugcon = {.driver = "isa-debugcon",
                                     .aliases = {},
                                     .description = "debug console on one port",
                                     .bus = "ISA",
                                     .options = IsaDebugconOptionsType,
                                     .create = CreateDebugcon};

}  // namespace

const DeviceFactory& IsaDebugconFactory() { return kDebugcon; }

}  // namespace nandu

#include "devices/legacy/debug_exit.h"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/described.h"

namespace nandu {

struct IsaDebugExitOptions {
  uint16_t iobase = 0x501;
  uint16_t iosize = 2;
};
BOOST_DESCRIBE_STRUCT(IsaDebugExitOptions, (), (iobase, iosize))

namespace {

class ExitPort final : public IoHandler {
 public:
  explicit ExitPort(DeviceHost& host) : host_(host) {}
  std::string_view name() const override { return "isa-debug-exit"; }
  uint64_t Read(uint64_t /*offset*/, unsigned /*size*/) override { return 0; }
  ExitDone Write(uint64_t /*offset*/, unsigned /*size*/, uint64_t value) override {
    // What the parent of the process sees of it: eight bits.
    host_.RequestExit(static_cast<int>((value << 1 | 1) & 0xff));
    return ExitDone::Done();
  }

 private:
  DeviceHost& host_;
};

}  // namespace

DebugExit::DebugExit(const Options& options)
    : LegacyDevice(options.id, "isa-debug-exit", Format("/machine/isa/debug-exit-{:x}", options.io_base)) {}

Result<std::unique_ptr<DebugExit>> DebugExit::Create(DeviceHost& host, const Options& options) {
  if (options.io_bytes == 0) {
    return Fail(Errc::kInvalidArgument, "iosize=0 leaves no port to write to");
  }
  std::unique_ptr<DebugExit> device(new DebugExit(options));
  device->mapping_ = TRY(
      host.io_space().Map(options.io_base, Region::Io(std::make_shared<ExitPort>(host), options.io_bytes)));
  return device;
}

namespace {

Result<std::unique_ptr<Device>> CreateDebugExit(DeviceHost& host, const std::string& id,
                                                const boost::json::object& options) {
  const auto parsed = TRY(FromJson<IsaDebugExitOptions>(boost::json::value(options),
                                                        {.field_word = "property", .lenient = true}));
  auto device = TRY(DebugExit::Create(host, {.id = id, .io_base = parsed.iobase, .io_bytes = parsed.iosize}));
  return std::unique_ptr<Device>(std::move(device));
}

const TypeInfo* IsaDebugExitOptionsType() { return &TypeOf<IsaDebugExitOptions>(); }

constexpr DeviceFactory kDebugExit = {.driver = "isa-debug-exit",
                                      .aliases = {},
                                      .description = "port that ends the VM with a status",
                                      .bus = "ISA",
                                      .options = IsaDebugExitOptionsType,
                                      .create = CreateDebugExit};

}  // namespace

const DeviceFactory& IsaDebugExitFactory() { return kDebugExit; }

}  // namespace nandu

#include "qmp/commands/balloon.h"

#include <optional>

#include "machine/facets.h"
#include "qmp/registry.h"

namespace nandu {

struct BalloonArgs {
  int64_t value = 0;  // bytes the guest is left with
};
BOOST_DESCRIBE_STRUCT(BalloonArgs, (), (value))

// Of query-balloon and of the event.
struct BalloonInfo {
  int64_t actual = 0;  // bytes
};
BOOST_DESCRIBE_STRUCT(BalloonInfo, (), (actual))

namespace {

// As QEMU: a guest that writes its balloon's size for every page makes no storm.
constexpr int64_t kChangeIntervalNs = 1'000'000'000;

constexpr std::string_view kNoBalloon =
    "there is no memory balloon; start the VM with -device virtio-balloon-pci";

}  // namespace

void BindBalloonCommands(QmpRegistry& registry, BalloonFacet& balloon) {
  registry.Bind<BalloonArgs, Nothing>("balloon", [&balloon](const BalloonArgs& args, Reply<Nothing> reply) {
    if (!balloon.GuestMemoryBytes()) {
      reply.Fail(QmpErrorClass::kDeviceNotActive, std::string(kNoBalloon));
    } else if (args.value <= 0) {
      reply.Fail(QmpErrorClass::kGenericError,
                 Format("arguments.value: {} bytes is no size to leave the guest with; give more than 0",
                        args.value));
    } else {
      balloon.SetGuestMemoryTarget(static_cast<uint64_t>(args.value));
      reply.Return();
    }
  });
  registry.Bind<Nothing, BalloonInfo>("query-balloon", [&balloon](Nothing, Reply<BalloonInfo> reply) {
    if (const std::optional<uint64_t> bytes = balloon.GuestMemoryBytes()) {
      reply.Return({static_cast<int64_t>(*bytes)});
    } else {
      reply.Fail(QmpErrorClass::kDeviceNotActive, std::string(kNoBalloon));
    }
  });
  registry.DeclareEvent<BalloonInfo>("BALLOON_CHANGE", {.min_interval_ns = kChangeIntervalNs});
}

}  // namespace nandu

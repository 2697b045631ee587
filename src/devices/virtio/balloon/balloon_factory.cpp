#include "devices/virtio/balloon/balloon_factory.h"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "devices/virtio/balloon/balloon_device.h"
#include "devices/virtio/virtio_pci_device.h"

namespace nandu {

Result<> Validate(const VirtioBalloonOptions& options) {
  TRY(Validate(static_cast<const VirtioPciOptions&>(options)));
  if (options.free_page_hint) {
    return Fail(Errc::kUnsupported,
                "free-page-hint=on cannot be served: its hints are for migration, which is not there yet; "
                "leave it out");
  }
  if (!options.migrate_extra) {
    return Fail(Errc::kUnsupported,
                "migrate-extra=off cannot be served: a saved state is always complete; leave it out");
  }
  return {};
}

namespace {

constexpr VirtioPciNames kNames = {
    {"virtio-balloon-pci", "virtio-balloon-pci-transitional", "virtio-balloon-pci-non-transitional"},
    "virtio-balloon",
    "takes memory from the guest and gives it back"};

Result<std::unique_ptr<Device>> CreateBalloon(DeviceHost& host, const std::string& id,
                                              const VirtioBalloonOptions& parsed, std::string_view driver) {
  EventLoop* const loop = TRY(Prefix(host.FindIoLoop(parsed.iothread.value_or("")), id));
  BalloonDeviceConfig config;
  config.deflate_on_oom = parsed.deflate_on_oom;
  config.free_page_reporting = parsed.free_page_reporting;
  config.page_poison = parsed.page_poison;
  config.full_config = parsed.qemu_4_0_config_size;
  config.stats_interval_s = parsed.guest_stats_polling_interval;
  auto control =
      std::make_shared<BalloonControl>(host.control(), host.clock(), [&host] { host.BalloonChanged(); });
  TRY(Prefix(host.OfferBalloon(control), id));
  // No MSI-X, as QEMU, unless vectors= asks for it.
  const VirtioPciSpec spec{.id = id, .driver = driver, .default_vectors = 0};
  return VirtioPciDevice::Create(
      host, spec, parsed, std::make_unique<BalloonDevice>(config, *loop, host.clock(), std::move(control)));
}

}  // namespace

const DeviceFactory& VirtioBalloonPciFactory(VirtioPciVariant variant) {
  return VirtioPciFactoryOf<kNames, VirtioBalloonOptions, CreateBalloon>(variant);
}

}  // namespace nandu

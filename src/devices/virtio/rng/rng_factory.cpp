#include "devices/virtio/rng/rng_factory.h"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "devices/virtio/rng/rng_device.h"
#include "devices/virtio/virtio_pci_device.h"

namespace nandu {

Result<> Validate(const VirtioRngOptions& options) {
  TRY(Validate(static_cast<const VirtioPciOptions&>(options)));
  if (options.rng) {
    return Fail(Errc::kNotFound,
                "rng={}: there is no such object; leave rng out: the host's getrandom is the source",
                *options.rng);
  }
  if (options.period == 0) {
    return Fail(Errc::kInvalidArgument, "period=0 is no period; give it in milliseconds");
  }
  if (options.max_bytes && *options.max_bytes == 0) {
    return Fail(Errc::kInvalidArgument, "max-bytes=0 would never give a byte; leave it out for no limit");
  }
  return {};
}

namespace {

constexpr VirtioPciNames kNames = {
    {"virtio-rng-pci", "virtio-rng-pci-transitional", "virtio-rng-pci-non-transitional"},
    "virtio-rng",
    "random numbers from the host"};

Result<std::unique_ptr<Device>> CreateRng(DeviceHost& host, const std::string& id,
                                          const VirtioRngOptions& parsed, std::string_view driver) {
  EventLoop* const loop = TRY(host.FindIoLoop({}));
  RngLimit limit;
  limit.max_bytes = parsed.max_bytes.value_or(limit.max_bytes);
  limit.period_ms = parsed.period;
  auto device = std::make_unique<RngDevice>(*loop, host.clock(), std::make_unique<HostEntropy>(), limit);
  return VirtioPciDevice::Create(host, {.id = id, .driver = driver, .default_vectors = 2}, parsed,
                                 std::move(device));
}

}  // namespace

const DeviceFactory& VirtioRngPciFactory(VirtioPciVariant variant) {
  return VirtioPciFactoryOf<kNames, VirtioRngOptions, CreateRng>(variant);
}

}  // namespace nandu

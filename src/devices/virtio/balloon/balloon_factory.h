// virtio-balloon-pci's row for the device catalog, and its options, named as QEMU 7.2 names them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nandu/device.h>

#include "base/described.h"
#include "devices/virtio/virtio_pci_options.h"
#include "devices/virtio/virtio_pci_variants.h"

namespace nandu {

struct VirtioBalloonOptions : VirtioPciOptions {
  bool deflate_on_oom = false;
  bool free_page_reporting = false;
  bool page_poison = true;
  uint32_t guest_stats_polling_interval = 0;  // seconds; 0: never
  std::optional<std::string> iothread;
  bool qemu_4_0_config_size = false;  // all of the configuration, whatever the features say
  // Served at their defaults only.
  bool free_page_hint = false;
  bool migrate_extra = true;
};
BOOST_DESCRIBE_STRUCT(VirtioBalloonOptions, (VirtioPciOptions),
                      (deflate_on_oom, free_page_reporting, page_poison, guest_stats_polling_interval,
                       iothread, qemu_4_0_config_size, free_page_hint, migrate_extra))
Result<> Validate(const VirtioBalloonOptions& options);

const DeviceFactory& VirtioBalloonPciFactory(VirtioPciVariant variant = VirtioPciVariant::kPlain);

}  // namespace nandu

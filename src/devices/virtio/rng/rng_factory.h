// virtio-rng-pci's row for the device catalog, and its options.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nandu/device.h>

#include "base/described.h"
#include "devices/virtio/virtio_pci_options.h"
#include "devices/virtio/virtio_pci_variants.h"

namespace nandu {

struct VirtioRngOptions : VirtioPciOptions {
  std::optional<std::string> rng;     // an rng object
  std::optional<uint64_t> max_bytes;  // per period; absent: no limit
  uint32_t period = 65'536;           // milliseconds
};
BOOST_DESCRIBE_STRUCT(VirtioRngOptions, (VirtioPciOptions), (rng, max_bytes, period))
Result<> Validate(const VirtioRngOptions& options);

const DeviceFactory& VirtioRngPciFactory(VirtioPciVariant variant = VirtioPciVariant::kPlain);

}  // namespace nandu

// The options every virtio-*-pci device takes, named as QEMU 7.2 names them; a device's own options struct
// derives from this one. What is not served is refused with a sentence, never ignored. Control thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/described.h"
#include "base/result.h"
#include "devices/pci/pci_options.h"

namespace nandu {

enum class OnOffAuto : uint8_t { kAuto, kOn, kOff };
BOOST_DESCRIBE_ENUM(OnOffAuto, kAuto, kOn, kOff)

struct VirtioPciOptions : PciDeviceOptions {
  OnOffAuto disable_legacy = OnOffAuto::kAuto;  // auto: modern only behind a root port
  bool disable_modern = false;
  bool packed = false;
  bool event_idx = true;
  bool indirect_desc = true;
  bool any_layout = true;
  bool notify_on_empty = true;
  bool queue_reset = true;
  bool ioeventfd = true;
  std::optional<uint32_t> vectors;  // MSI-X; 0: none
  // Served at their defaults only.
  bool iommu_platform = false;
  bool ats = false;
  bool aer = false;
  bool page_per_vq = false;
  bool modern_pio_notify = false;
};
BOOST_DESCRIBE_STRUCT(VirtioPciOptions, (PciDeviceOptions),
                      (disable_legacy, disable_modern, packed, event_idx, indirect_desc, any_layout,
                       notify_on_empty, queue_reset, ioeventfd, vectors, iommu_platform, ats, aer,
                       page_per_vq, modern_pio_notify))

// The names that keep their underscores. A derived struct that lists names of its own repeats these.
#define NANDU_VIRTIO_PCI_WIRE_NAMES                                                             \
  {"event_idx", "event_idx"}, {"indirect_desc", "indirect_desc"}, {"any_layout", "any_layout"}, \
      {"notify_on_empty", "notify_on_empty"}, {"queue_reset", "queue_reset"}, {                 \
    "iommu_platform", "iommu_platform"                                                          \
  }

inline std::span<const WireName> WireNames(const VirtioPciOptions*) {
  static constexpr WireName kNames[] = {NANDU_VIRTIO_PCI_WIRE_NAMES};
  return kNames;
}

// A derived struct's own Validate calls this one.
Result<> Validate(const VirtioPciOptions& options);

}  // namespace nandu

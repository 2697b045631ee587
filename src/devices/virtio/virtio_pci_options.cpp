#include "devices/virtio/virtio_pci_options.h"

#include <string_view>

#include "devices/pci/pci_regs.h"

namespace nandu {

Result<> Validate(const VirtioPciOptions& options) {
  const struct {
    bool set;
    std::string_view name;
    std::string_view why;
  } refused[] = {
      {options.iommu_platform, "iommu_platform", "there is no IOMMU in front of the device"},
      {options.ats, "ats", "there is no IOMMU that would translate for the device"},
      {options.aer, "aer", "the device has no errors to report"},
      {options.page_per_vq, "page-per-vq", "doorbells are four bytes apart"},
      {options.modern_pio_notify, "modern-pio-notify", "doorbells are in memory"},
  };
  for (const auto& each : refused) {
    if (each.set) {
      return Fail(Errc::kUnsupported, "{}=on cannot be served: {}; leave it out", each.name, each.why);
    }
  }
  if (options.disable_modern && options.disable_legacy == OnOffAuto::kOn) {
    return Fail(Errc::kInvalidArgument,
                "disable-modern=on and disable-legacy=on leave no interface; keep one of them off");
  }
  if (options.disable_modern && options.packed) {
    return Fail(Errc::kInvalidArgument, "packed=on needs the modern interface; leave disable-modern out");
  }
  if (options.vectors && *options.vectors > pci::kMsixMaxVectors) {
    return Fail(Errc::kInvalidArgument, "vectors={} is too many; a function has at most {}", *options.vectors,
                pci::kMsixMaxVectors);
  }
  return {};
}

}  // namespace nandu

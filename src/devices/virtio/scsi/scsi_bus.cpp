#include "devices/virtio/scsi/scsi_bus.h"

#include "base/time.h"

namespace nandu {
namespace {

constexpr int64_t kStuckAfterNs = 1'000'000'000;
constexpr uint32_t kMaxTarget = 255;
constexpr uint32_t kMaxLun = 16383;

}  // namespace

ScsiBusDevice::ScsiBusDevice(DeviceHost& host, std::string bus_id, std::unique_ptr<Device> pci_device,
                             std::shared_ptr<ScsiHost> scsi, ScsiDevice& device)
    : host_(host), bus_id_(std::move(bus_id)), device_(std::move(pci_device)), scsi_(std::move(scsi)) {
  device.stuck = [this] { return StuckRequests(); };
  host_.OfferBus(*this);
}

ScsiBusDevice::~ScsiBusDevice() { host_.WithdrawBus(*this); }

Result<ScsiPlace> ScsiBusDevice::Choose(std::optional<uint32_t> target, std::optional<uint32_t> lun) const {
  if (target.value_or(0) > kMaxTarget || lun.value_or(0) > kMaxLun) {
    return Fail(Errc::kInvalidArgument, "scsi-id={}, lun={}: there are targets 0 to {} and LUNs 0 to {}",
                target.value_or(0), lun.value_or(0), kMaxTarget, kMaxLun);
  }
  if (target && lun) {
    const ScsiPlace place{static_cast<uint8_t>(*target), static_cast<uint16_t>(*lun)};
    return places_.contains(place)
               ? Fail(Errc::kExists, "scsi-id={}, lun={} on {} is taken", *target, *lun, bus_id_)
               : Result<ScsiPlace>(place);
  }
  // As QEMU: the next LUN of the target that was named, else the next target.
  ScsiPlace place{static_cast<uint8_t>(target.value_or(0)), static_cast<uint16_t>(lun.value_or(0))};
  for (uint32_t step = 0; step <= (target ? kMaxLun : kMaxTarget); ++step) {
    if (target) {
      place.lun = static_cast<uint16_t>(step);
    } else {
      place.target = static_cast<uint8_t>(step);
    }
    if (!places_.contains(place)) {
      return place;
    }
  }
  return Fail(Errc::kNotFound, "{} has no free place", bus_id_);
}

void ScsiBusDevice::Put(ScsiPlace place, std::shared_ptr<ScsiUnit> unit) {
  places_[place] = unit->shared_disk();
  scsi_->loop().Post(
      [scsi = scsi_, place, unit = std::move(unit)]() mutable { scsi->Put(place, std::move(unit)); });
}

void ScsiBusDevice::Remove(ScsiPlace place) {
  places_.erase(place);
  scsi_->loop().Post([scsi = scsi_, place] { scsi->Remove(place); });
}

std::vector<std::string> ScsiBusDevice::StuckRequests() const {
  std::vector<std::string> stuck;
  for (const auto& [place, disk] : places_) {
    disk->Stuck(MonotonicNs(), kStuckAfterNs, &stuck);
  }
  return stuck;
}

ScsiUnitDevice::ScsiUnitDevice(Parts parts) : parts_(std::move(parts)) {
  parts_.bus->Put(parts_.place, parts_.unit);
}

ScsiUnitDevice::~ScsiUnitDevice() {
  parts_.bus->Remove(parts_.place);
  DiskFront::Close(std::move(parts_.disk.front));
}

std::optional<Device::BootChoice> ScsiUnitDevice::boot_choice() const {
  if (!parts_.bootindex) {
    return std::nullopt;
  }
  const auto [target, lun] = parts_.place;
  return BootChoice{*parts_.bootindex, Format("/channel@0/disk@{:x},{:x}", target, lun), parts_.bus->pci()};
}

void ScsiUnitDevice::Save(const StateWriter& writer) const { writer.Put(parts_.unit->Save()); }

Result<> ScsiUnitDevice::Load(const StateReader& reader) {
  const ScsiUnitState state = TRY(reader.Get<ScsiUnitState>());
  return parts_.unit->Load(state);
}

}  // namespace nandu

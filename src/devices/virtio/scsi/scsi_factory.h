// virtio-scsi-pci, scsi-hd and scsi-cd: their rows for the device catalog, and their options as QEMU 7.2 names them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nandu/device.h>

#include "base/described.h"
#include "devices/storage/disk_options.h"
#include "devices/virtio/virtio_pci_options.h"
#include "devices/virtio/virtio_pci_variants.h"

namespace nandu {

struct VirtioScsiOptions : VirtioPciOptions {
  std::optional<uint16_t> num_queues;  // of requests; absent: one per vCPU
  uint16_t virtqueue_size = 256;
  bool seg_max_adjust = true;
  uint32_t max_sectors = 0xffff;
  uint32_t cmd_per_lun = 128;
  bool hotplug = true;
  bool param_change = true;
  std::optional<std::string> iothread;
};
BOOST_DESCRIBE_STRUCT(VirtioScsiOptions, (VirtioPciOptions),
                      (num_queues, virtqueue_size, seg_max_adjust, max_sectors, cmd_per_lun, hotplug, param_change,
                       iothread))
inline std::span<const WireName> WireNames(const VirtioScsiOptions*) {
  static constexpr WireName kNames[] = {NANDU_VIRTIO_PCI_WIRE_NAMES,
                                        {"num_queues", "num_queues"},
                                        {"virtqueue_size", "virtqueue_size"},
                                        {"seg_max_adjust", "seg_max_adjust"},
                                        {"max_sectors", "max_sectors"},
                                        {"cmd_per_lun", "cmd_per_lun"},
                                        {"param_change", "param_change"}};
  return kNames;
}
Result<> Validate(const VirtioScsiOptions& options);

struct ScsiDriveOptions : DiskOptions {
  uint32_t channel = 0;
  std::optional<uint32_t> scsi_id;  // absent: the first that is free
  std::optional<uint32_t> lun;
  std::optional<std::string> vendor;
  std::optional<std::string> product;
  std::optional<std::string> device_id;
  std::optional<uint64_t> port_wwn;
  uint16_t port_index = 0;
};
BOOST_DESCRIBE_STRUCT(ScsiDriveOptions, (DiskOptions),
                      (channel, scsi_id, lun, vendor, product, device_id, port_wwn, port_index))
#define NANDU_SCSI_WIRE_NAMES \
  NANDU_DISK_WIRE_NAMES, {"device_id", "device_id"}, {"port_wwn", "port_wwn"}, { "port_index", "port_index" }
inline std::span<const WireName> WireNames(const ScsiDriveOptions*) {
  static constexpr WireName kNames[] = {NANDU_SCSI_WIRE_NAMES};
  return kNames;
}
Result<> Validate(const ScsiDriveOptions& options);

struct ScsiDiskOptions : ScsiDriveOptions {
  bool removable = false;
  uint16_t rotation_rate = 0;
  uint64_t max_unmap_size = uint64_t{1} << 30;
  uint64_t max_io_size = 2147483647;
};
BOOST_DESCRIBE_STRUCT(ScsiDiskOptions, (ScsiDriveOptions), (removable, rotation_rate, max_unmap_size, max_io_size))
inline std::span<const WireName> WireNames(const ScsiDiskOptions*) {
  static constexpr WireName kNames[] = {NANDU_SCSI_WIRE_NAMES,
                                        {"rotation_rate", "rotation_rate"},
                                        {"max_unmap_size", "max_unmap_size"},
                                        {"max_io_size", "max_io_size"}};
  return kNames;
}

const DeviceFactory& VirtioScsiPciFactory(VirtioPciVariant variant);
const DeviceFactory& ScsiHdFactory();
const DeviceFactory& ScsiCdFactory();

}  // namespace nandu

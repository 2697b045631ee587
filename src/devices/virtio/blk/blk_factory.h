// virtio-blk-pci's row for the device catalog, and its options, named as QEMU 7.2 names them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nandu/device.h>

#include "base/described.h"
#include "devices/virtio/virtio_pci_options.h"
#include "devices/virtio/virtio_pci_variants.h"

namespace nandu {

enum class BlkOnError : uint8_t { kAuto, kReport, kIgnore, kEnospc, kStop };
BOOST_DESCRIBE_ENUM(BlkOnError, kAuto, kReport, kIgnore, kEnospc, kStop)

// One iothread and the queues it serves, as QEMU 9.0 has it. No `vqs` in any entry: queues go round.
struct IothreadVqMapping {
  std::string iothread;
  std::optional<std::vector<uint16_t>> vqs;
};
BOOST_DESCRIBE_STRUCT(IothreadVqMapping, (), (iothread, vqs))

struct VirtioBlkOptions : VirtioPciOptions {
  std::string drive;  // node name or -drive id
  std::optional<std::string> serial;
  std::optional<uint16_t> num_queues;  // absent: one per vCPU
  uint16_t queue_size = 256;
  std::optional<std::string> iothread;
  std::optional<std::vector<IothreadVqMapping>> iothread_vq_mapping;  // only in -device's JSON form
  OnOffAuto write_cache = OnOffAuto::kAuto;                           // auto: as the node
  std::optional<uint32_t> logical_block_size;
  std::optional<uint32_t> physical_block_size;
  uint32_t min_io_size = 0;
  uint32_t opt_io_size = 0;
  std::optional<uint32_t> discard_granularity;
  std::optional<int32_t> bootindex;
  bool config_wce = true;
  bool discard = true;
  bool write_zeroes = true;
  uint32_t max_discard_sectors = 0x3fffff;
  uint32_t max_write_zeroes_sectors = 0x3fffff;
  bool seg_max_adjust = true;
  bool share_rw = false;
  BlkOnError rerror = BlkOnError::kAuto;  // auto: report
  BlkOnError werror = BlkOnError::kAuto;  // auto: enospc
  uint16_t cyls = 0;                      // with heads and secs; all 0: guessed
  uint8_t heads = 0;
  uint8_t secs = 0;
  bool scsi = false;  // refused
};
BOOST_DESCRIBE_STRUCT(VirtioBlkOptions, (VirtioPciOptions),
                      (drive, serial, num_queues, queue_size, iothread, iothread_vq_mapping, write_cache,
                       logical_block_size, physical_block_size, min_io_size, opt_io_size, discard_granularity,
                       bootindex, config_wce, discard, write_zeroes, max_discard_sectors,
                       max_write_zeroes_sectors, seg_max_adjust, share_rw, rerror, werror, cyls, heads, secs,
                       scsi))

inline std::span<const WireName> WireNames(const VirtioBlkOptions*) {
  static constexpr WireName kNames[] = {NANDU_VIRTIO_PCI_WIRE_NAMES,
                                        {"logical_block_size", "logical_block_size"},
                                        {"physical_block_size", "physical_block_size"},
                                        {"min_io_size", "min_io_size"},
                                        {"opt_io_size", "opt_io_size"},
                                        {"discard_granularity", "discard_granularity"}};
  return kNames;
}
Result<> Validate(const VirtioBlkOptions& options);

// For each queue the index of the mapping's entry that serves it.
Result<std::vector<size_t>> QueueEntries(const std::vector<IothreadVqMapping>& mapping, unsigned queues);

const DeviceFactory& VirtioBlkPciFactory(VirtioPciVariant variant = VirtioPciVariant::kPlain);

}  // namespace nandu

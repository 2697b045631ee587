// What every emulated disk and CD-ROM drive takes as options, as QEMU 7.2 names them, and how they become a
// disk. Control loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <nandu/block.h>
#include <nandu/device.h>

#include "base/described.h"
#include "devices/storage/cd_drive.h"
#include "devices/storage/disk_front.h"

namespace nandu {

enum class DiskOnError : uint8_t { kAuto, kReport, kIgnore, kEnospc, kStop };
BOOST_DESCRIBE_ENUM(DiskOnError, kAuto, kReport, kIgnore, kEnospc, kStop)
enum class DiskSwitch : uint8_t { kAuto, kOn, kOff };
BOOST_DESCRIBE_ENUM(DiskSwitch, kAuto, kOn, kOff)

struct DiskOptions {
  std::optional<std::string> bus;
  std::optional<std::string>
      drive;  // node name or -drive id; absent, and -drive without file=: an empty drive
  std::optional<std::string> serial;
  std::optional<std::string> ver;  // the version of its firmware
  std::optional<uint64_t> wwn;
  std::optional<int32_t> bootindex;
  std::optional<uint32_t> logical_block_size;
  std::optional<uint32_t> physical_block_size;
  uint32_t min_io_size = 0;
  uint32_t opt_io_size = 0;
  std::optional<uint32_t> discard_granularity;
  DiskSwitch write_cache = DiskSwitch::kAuto;  // auto: as the node
  bool share_rw = false;
  DiskOnError rerror = DiskOnError::kAuto;  // auto: report
  DiskOnError werror = DiskOnError::kAuto;  // auto: enospc
};
BOOST_DESCRIBE_STRUCT(DiskOptions, (),
                      (bus, drive, serial, ver, wwn, bootindex, logical_block_size, physical_block_size,
                       min_io_size, opt_io_size, discard_granularity, write_cache, share_rw, rerror, werror))
#define NANDU_DISK_WIRE_NAMES                                                                   \
  {"logical_block_size", "logical_block_size"}, {"physical_block_size", "physical_block_size"}, \
      {"min_io_size", "min_io_size"}, {"opt_io_size", "opt_io_size"}, {                         \
    "discard_granularity", "discard_granularity"                                                \
  }
inline std::span<const WireName> WireNames(const DiskOptions*) {
  static constexpr WireName kNames[] = {NANDU_DISK_WIRE_NAMES};
  return kNames;
}
// A derived struct's own Validate calls this one.
Result<> Validate(const DiskOptions& options);

struct OpenedDisk {
  std::shared_ptr<DiskFront> front;
  BlockLimits limits;         // of the medium it begins with
  std::string drive;          // -drive's id; empty: a node, or none
  bool write_cache = true;    // as it is at reset
  bool tells_status = false;  // an error may stop the VM
  uint32_t logical_block_size = 512;
  uint32_t physical_block_size = 512;
};
// For managers. `cd` null: a disk.
DiskFacts FactsOf(const OpenedDisk& disk, const CdDrive* cd);
enum class DiskKind : uint8_t { kDisk, kCdrom };
// Claims the image and opens it on `loop`. A CD-ROM drive may be empty, and only reads.
Result<OpenedDisk> OpenDisk(DeviceHost& host, EventLoop& loop, const DiskOptions& options,
                            const std::string& id, DiskKind kind, UniqueFunction<void()> on_size = nullptr);

}  // namespace nandu

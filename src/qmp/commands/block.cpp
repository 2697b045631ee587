// Field sets are those of QEMU 7.2, as its query-qmp-schema and its events show them.
#include "qmp/commands/block.h"

#include <limits>
#include <memory>
#include <optional>

#include "machine/facets.h"
#include "qmp/registry.h"

namespace nandu {

struct BlockResizeArgs {
  std::optional<std::string> device;     // -drive's id
  std::optional<std::string> node_name;  // -blockdev's
  int64_t size = 0;                      // bytes
};
BOOST_DESCRIBE_STRUCT(BlockResizeArgs, (), (device, node_name, size))

struct QueryNamedBlockNodesArgs {
  std::optional<bool> flat;  // without the images under each, which are nodes themselves
};
BOOST_DESCRIBE_STRUCT(QueryNamedBlockNodesArgs, (), (flat))

enum class IoOperationType : uint8_t { kRead, kWrite };
BOOST_DESCRIBE_ENUM(IoOperationType, kRead, kWrite)
enum class BlockErrorAction : uint8_t { kIgnore, kReport, kStop };
BOOST_DESCRIBE_ENUM(BlockErrorAction, kIgnore, kReport, kStop)
struct BlockIoErrorEvent {
  std::string device;
  std::optional<std::string> node_name;
  IoOperationType operation = IoOperationType::kRead;
  BlockErrorAction action = BlockErrorAction::kIgnore;
  std::optional<bool> nospace;
  std::string reason;
};
BOOST_DESCRIBE_STRUCT(BlockIoErrorEvent, (), (device, node_name, operation, action, nospace, reason))

enum class DetectZeroesInfo : uint8_t { kOff, kOn, kUnmap };
BOOST_DESCRIBE_ENUM(DetectZeroesInfo, kOff, kOn, kUnmap)
struct SnapshotInfo {
  std::string id;
  std::string name;
  uint64_t vm_state_size = 0;
  uint32_t date_sec = 0;
  uint32_t date_nsec = 0;
  uint64_t vm_clock_sec = 0;
  uint64_t vm_clock_nsec = 0;
  uint64_t icount = 0;  // of record and replay, which nobody does here
};
BOOST_DESCRIBE_STRUCT(SnapshotInfo, (),
                      (id, name, vm_state_size, date_sec, date_nsec, vm_clock_sec, vm_clock_nsec, icount))
struct ImageInfoSpecificQcow2 {
  std::string compat;
  std::optional<std::string> data_file;
  std::optional<bool> data_file_raw;
  std::optional<bool> extended_l2;
  std::optional<bool> lazy_refcounts;
  std::optional<bool> corrupt;
  uint32_t refcount_bits = 16;
  std::string compression_type;
};
BOOST_DESCRIBE_STRUCT(ImageInfoSpecificQcow2, (),
                      (compat, data_file, data_file_raw, extended_l2, lazy_refcounts, corrupt, refcount_bits,
                       compression_type))
struct ImageInfoSpecific {
  std::string type;
  ImageInfoSpecificQcow2 data;
};
BOOST_DESCRIBE_STRUCT(ImageInfoSpecific, (), (type, data))
struct ImageInfo {
  std::string filename;
  std::string format;
  bool dirty_flag = false;
  uint64_t actual_size = 0;
  uint64_t virtual_size = 0;
  std::optional<uint64_t> cluster_size;
  std::optional<std::string> backing_filename;
  std::optional<std::string> full_backing_filename;
  std::optional<std::string> backing_filename_format;
  std::optional<std::vector<SnapshotInfo>> snapshots;
  std::unique_ptr<ImageInfo> backing_image;
  std::optional<ImageInfoSpecific> format_specific;
};
BOOST_DESCRIBE_STRUCT(ImageInfo, (),
                      (filename, format, dirty_flag, actual_size, virtual_size, cluster_size,
                       backing_filename, full_backing_filename, backing_filename_format, snapshots,
                       backing_image, format_specific))
struct BlockdevCacheInfo {
  bool writeback = true;
  bool direct = false;
  bool no_flush = false;
};
BOOST_DESCRIBE_STRUCT(BlockdevCacheInfo, (), (writeback, direct, no_flush))
struct BlockDeviceInfo {
  std::string file;
  std::optional<std::string> node_name;
  bool ro = false;
  std::string drv;
  std::optional<std::string> backing_file;
  int64_t backing_file_depth = 0;
  bool encrypted = false;
  DetectZeroesInfo detect_zeroes = DetectZeroesInfo::kOff;
  int64_t bps = 0;
  int64_t bps_rd = 0;
  int64_t bps_wr = 0;
  int64_t iops = 0;
  int64_t iops_rd = 0;
  int64_t iops_wr = 0;
  ImageInfo image;
  BlockdevCacheInfo cache;
  int64_t write_threshold = 0;
};
inline std::span<const WireName> WireNames(const BlockDeviceInfo* /*type*/) {
  static constexpr WireName kNames[] = {{"backing_file", "backing_file"},
                                        {"backing_file_depth", "backing_file_depth"},
                                        {"detect_zeroes", "detect_zeroes"},
                                        {"bps_rd", "bps_rd"},
                                        {"bps_wr", "bps_wr"},
                                        {"iops_rd", "iops_rd"},
                                        {"iops_wr", "iops_wr"},
                                        {"write_threshold", "write_threshold"}};
  return kNames;
}
BOOST_DESCRIBE_STRUCT(BlockDeviceInfo, (),
                      (file, node_name, ro, drv, backing_file, backing_file_depth, encrypted, detect_zeroes,
                       bps, bps_rd, bps_wr, iops, iops_rd, iops_wr, image, cache, write_threshold))
struct BlockInfo {
  std::string device;
  std::optional<std::string> qdev;
  std::string type;
  bool removable = false;
  bool locked = false;
  std::optional<BlockDeviceInfo> inserted;
  std::optional<bool> tray_open;
  std::optional<BlockIoStatus> io_status;
};
inline std::span<const WireName> WireNames(const BlockInfo* /*type*/) {
  static constexpr WireName kNames[] = {{"tray_open", "tray_open"}};
  return kNames;
}
BOOST_DESCRIBE_STRUCT(BlockInfo, (), (device, qdev, type, removable, locked, inserted, tray_open, io_status))

namespace {

std::optional<ImageInfoSpecific> SpecificOf(const Qcow2Info& qcow2) {
  ImageInfoSpecific specific;
  specific.type = "qcow2";
  specific.data.compat = qcow2.version < 3 ? "0.10" : "1.1";
  specific.data.refcount_bits = qcow2.refcount_bits;
  specific.data.compression_type = qcow2.zstd ? "zstd" : "zlib";
  if (qcow2.version >= 3) {
    specific.data.lazy_refcounts = qcow2.lazy_refcounts;
    specific.data.corrupt = qcow2.corrupt;
    specific.data.extended_l2 = qcow2.extended_l2;
    if (!qcow2.data_file.empty()) {
      specific.data.data_file = qcow2.data_file;
      specific.data.data_file_raw = qcow2.raw_data_file;
    }
  }
  return specific;
}

// Of an image alone. A format's child is the same file.
ImageInfo ImageOf(const ImageFacts& image) {
  ImageInfo info;
  info.filename = image.filename;
  info.format = image.driver;
  info.actual_size = image.allocated_bytes;
  info.virtual_size = image.size_bytes;
  if (!image.qcow2) {
    return info;
  }
  const Qcow2Info& qcow2 = *image.qcow2;
  info.dirty_flag = qcow2.dirty;
  info.cluster_size = qcow2.cluster_bytes;
  info.format_specific = SpecificOf(qcow2);
  if (!qcow2.backing_file.empty()) {
    info.backing_filename = qcow2.backing_file;
    const size_t slash = image.filename.rfind('/');
    const bool beside = !qcow2.backing_file.starts_with('/') && slash != std::string::npos;
    info.full_backing_filename =
        (beside ? image.filename.substr(0, slash + 1) : std::string()) + qcow2.backing_file;
  }
  if (!qcow2.backing_format.empty()) {
    info.backing_filename_format = qcow2.backing_format;
  }
  constexpr uint64_t kSecond = 1'000'000'000;
  for (const Qcow2Info::Snapshot& snapshot : qcow2.snapshots) {
    info.snapshots = info.snapshots ? std::move(info.snapshots) : std::vector<SnapshotInfo>();
    info.snapshots->push_back({snapshot.id, snapshot.name, snapshot.vm_state_bytes, snapshot.seconds,
                               snapshot.nanoseconds, snapshot.vm_clock_ns / kSecond,
                               snapshot.vm_clock_ns % kSecond, 0});
  }
  return info;
}

enum class Chain : uint8_t { kWhole, kAlone };

BlockDeviceInfo InsertedOf(const ImageFacts& image, Chain chain) {
  BlockDeviceInfo inserted;
  inserted.file = image.filename;
  inserted.node_name = image.node_name;
  inserted.ro = image.read_only;
  inserted.drv = image.driver;
  inserted.detect_zeroes = image.detect_zeroes == "unmap" ? DetectZeroesInfo::kUnmap
                           : image.detect_zeroes == "on"  ? DetectZeroesInfo::kOn
                                                          : DetectZeroesInfo::kOff;
  inserted.image = ImageOf(image);
  if (!image.below.empty()) {
    inserted.backing_file = image.below.front().filename;
  }
  inserted.cache = {image.writeback, image.direct, image.no_flush};
  if (chain == Chain::kAlone) {
    return inserted;
  }
  ImageInfo* at = &inserted.image;
  for (const ImageFacts& below : image.below) {
    at->backing_image = std::make_unique<ImageInfo>(ImageOf(below));
    at = at->backing_image.get();
    ++inserted.backing_file_depth;
  }
  return inserted;
}

BlockInfo InfoOf(const BlockFacts& facts) {
  BlockInfo info;
  info.device = facts.drive;
  info.qdev = facts.qdev;
  info.type = "unknown";
  info.removable = facts.removable;
  info.locked = facts.locked;
  info.tray_open = facts.tray_open;
  if (facts.image) {
    info.inserted = InsertedOf(*facts.image, Chain::kWhole);
  }
  info.io_status = facts.io_status;
  return info;
}

void QueryBlock(const BlockFacet& block, Reply<std::vector<BlockInfo>> reply) {
  std::vector<BlockInfo> infos;
  for (const BlockFacts& facts : block.QueryBlock()) {
    infos.push_back(InfoOf(facts));
  }
  reply.Return(infos);
}

void QueryNodes(const BlockFacet& block, const QueryNamedBlockNodesArgs& args,
                Reply<std::vector<BlockDeviceInfo>> reply) {
  std::vector<BlockDeviceInfo> infos;
  for (const ImageFacts& facts : block.QueryNodes()) {
    infos.push_back(InsertedOf(facts, args.flat.value_or(false) ? Chain::kAlone : Chain::kWhole));
  }
  reply.Return(infos);
}

void Resize(BlockFacet& block, const BlockResizeArgs& args, Reply<Nothing> reply) {
  if (args.device.has_value() == args.node_name.has_value()) {
    reply.Fail(QmpErrorClass::kGenericError, "give either 'device' or 'node-name'");
    return;
  }
  if (args.size < 0) {
    reply.Fail(QmpErrorClass::kGenericError,
               Format("arguments.size: {} bytes is no size; give 0 or more", args.size));
    return;
  }
  block.ResizeBlock(args.device ? *args.device : *args.node_name, static_cast<uint64_t>(args.size),
                    [reply = std::move(reply)](Result<> result) mutable { reply.Finish(std::move(result)); });
}

}  // namespace

void BindBlockCommands(QmpRegistry& registry, BlockFacet& block) {
  registry.Bind<BlockResizeArgs, Nothing>(
      "block_resize",
      [&block](const BlockResizeArgs& args, Reply<Nothing> reply) { Resize(block, args, std::move(reply)); });
  registry.Bind<Nothing, std::vector<BlockInfo>>(
      "query-block",
      [&block](Nothing, Reply<std::vector<BlockInfo>> reply) { QueryBlock(block, std::move(reply)); });
  registry.Bind<QueryNamedBlockNodesArgs, std::vector<BlockDeviceInfo>>(
      "query-named-block-nodes",
      [&block](const QueryNamedBlockNodesArgs& args, Reply<std::vector<BlockDeviceInfo>> reply) {
        QueryNodes(block, args, std::move(reply));
      });
  registry.DeclareEvent<BlockIoErrorEvent>("BLOCK_IO_ERROR");
}

}  // namespace nandu

// Field sets are those of QEMU 7.2, as its query-qmp-schema and its events show them.
#include "qmp/commands/block.h"

#include <limits>
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
struct ImageInfo {  // QEMU's has more, all optional: what other formats know
  std::string filename;
  std::string format;
  bool dirty_flag = false;
  uint64_t actual_size = 0;
  uint64_t virtual_size = 0;
};
BOOST_DESCRIBE_STRUCT(ImageInfo, (), (filename, format, dirty_flag, actual_size, virtual_size))
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
  static constexpr WireName kNames[] = {{"backing_file_depth", "backing_file_depth"},
                                        {"detect_zeroes", "detect_zeroes"},
                                        {"bps_rd", "bps_rd"},
                                        {"bps_wr", "bps_wr"},
                                        {"iops_rd", "iops_rd"},
                                        {"iops_wr", "iops_wr"},
                                        {"write_threshold", "write_threshold"}};
  return kNames;
}
BOOST_DESCRIBE_STRUCT(BlockDeviceInfo, (),
                      (file, node_name, ro, drv, backing_file_depth, encrypted, detect_zeroes, bps, bps_rd,
                       bps_wr, iops, iops_rd, iops_wr, image, cache, write_threshold))
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

BlockDeviceInfo InsertedOf(const ImageFacts& image) {
  BlockDeviceInfo inserted;
  inserted.file = image.filename;
  inserted.node_name = image.node_name;
  inserted.ro = image.read_only;
  inserted.drv = image.driver;
  inserted.detect_zeroes = image.detect_zeroes == "unmap" ? DetectZeroesInfo::kUnmap
                           : image.detect_zeroes == "on"  ? DetectZeroesInfo::kOn
                                                          : DetectZeroesInfo::kOff;
  inserted.image = {image.filename, image.driver, false, image.allocated_bytes, image.size_bytes};
  inserted.cache = {image.writeback, image.direct, image.no_flush};
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
    info.inserted = InsertedOf(*facts.image);
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
  registry.DeclareEvent<BlockIoErrorEvent>("BLOCK_IO_ERROR");
}

}  // namespace nandu

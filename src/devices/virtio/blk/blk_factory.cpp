#include "devices/virtio/blk/blk_factory.h"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <limits>

#include "base/checked.h"
#include "devices/virtio/blk/blk_device.h"
#include "devices/virtio/virtio_pci_device.h"

namespace nandu {
namespace {

constexpr uint32_t kMaxBlockSize = 2U << 20;
constexpr uint16_t kMaxQueueSize = 1024;  // what a request may have segments
constexpr uint16_t kMaxBlkQueues = 1024;

Result<> CheckBlockSize(const std::optional<uint32_t>& size, std::string_view name) {
  if (size && (!IsPowerOfTwo(*size) || *size < blk::kSectorBytes || *size > kMaxBlockSize)) {
    return Fail(Errc::kInvalidArgument, "{}={} is no block size; give a power of two from 512 to {}", name,
                *size, kMaxBlockSize);
  }
  return {};
}

BlkErrorPolicy PolicyOf(BlkOnError option, BlkErrorPolicy automatic) {
  switch (option) {
    case BlkOnError::kAuto: return automatic;
    case BlkOnError::kReport: return BlkErrorPolicy::kReport;
    case BlkOnError::kIgnore: return BlkErrorPolicy::kIgnore;
    case BlkOnError::kEnospc: return BlkErrorPolicy::kEnospc;
    case BlkOnError::kStop: return BlkErrorPolicy::kStop;
  }
  return automatic;
}

// What depends on the node.
Result<> CheckNode(const BlkDeviceConfig& config, const BlockNode& node) {
  const BlockLimits limits = node.limits();
  if (config.logical_block_size % limits.request_alignment != 0) {
    return Fail(Errc::kInvalidArgument,
                "node '{}' takes requests of {} bytes only; add logical_block_size={}", node.node_name(),
                limits.request_alignment, limits.request_alignment);
  }
  if (limits.size_bytes % config.logical_block_size != 0) {
    return Fail(Errc::kInvalidArgument,
                "the size of node '{}' ({} bytes) is no multiple of logical_block_size={}", node.node_name(),
                limits.size_bytes, config.logical_block_size);
  }
  return {};
}

Result<BlkDeviceConfig> ConfigOf(const VirtioBlkOptions& options, const BlockLimits& limits,
                                 const std::string& id, unsigned vcpus) {
  BlkDeviceConfig config;
  config.device = id;
  config.serial = options.serial.value_or("");
  config.queues =
      options.num_queues.value_or(static_cast<uint16_t>(std::min<unsigned>(vcpus, kMaxBlkQueues)));
  config.queue_size = options.queue_size;
  config.seg_max = options.seg_max_adjust ? options.queue_size - 2U : 126;
  config.logical_block_size = options.logical_block_size.value_or(limits.logical_block_size);
  config.physical_block_size =
      options.physical_block_size.value_or(std::max(limits.physical_block_size, config.logical_block_size));
  if (config.physical_block_size < config.logical_block_size) {
    return Fail(Errc::kInvalidArgument, "physical_block_size={} is less than logical_block_size={}",
                config.physical_block_size, config.logical_block_size);
  }
  config.min_io_bytes = options.min_io_size;
  config.opt_io_bytes = options.opt_io_size;
  config.discard_granularity_bytes = options.discard_granularity.value_or(0);
  for (const auto& [bytes, name] :
       {std::pair(config.min_io_bytes, "min_io_size"), std::pair(config.opt_io_bytes, "opt_io_size"),
        std::pair(config.discard_granularity_bytes, "discard_granularity")}) {
    if (bytes % config.logical_block_size != 0) {
      return Fail(Errc::kInvalidArgument, "{}={} is no multiple of the logical block size, {} bytes", name,
                  bytes, config.logical_block_size);
    }
  }
  if (config.min_io_bytes / config.logical_block_size > std::numeric_limits<uint16_t>::max()) {
    return Fail(Errc::kInvalidArgument, "min_io_size={} is too large; at most {} blocks", config.min_io_bytes,
                std::numeric_limits<uint16_t>::max());
  }
  config.max_discard_sectors = options.max_discard_sectors;
  config.max_write_zeroes_sectors = options.max_write_zeroes_sectors;
  config.geometry = {options.cyls, options.heads, options.secs};
  config.config_wce = options.config_wce;
  config.writeback =
      options.write_cache == OnOffAuto::kAuto ? limits.write_cache : options.write_cache == OnOffAuto::kOn;
  config.discard = options.discard;
  config.write_zeroes = options.write_zeroes;
  config.read_errors = PolicyOf(options.rerror, BlkErrorPolicy::kReport);
  config.write_errors = PolicyOf(options.werror, BlkErrorPolicy::kEnospc);
  return config;
}

Result<std::unique_ptr<Device>> Build(DeviceHost& host, const std::string& id,
                                      const VirtioBlkOptions& options) {
  EventLoop* const loop = TRY(host.FindIoLoop(options.iothread.value_or("")));
  std::shared_ptr<BlockNode> node = TRY(options.share_rw ? host.ClaimSharedBlockNode(options.drive, id)
                                                         : host.ClaimBlockNode(options.drive, id));
  BlkDeviceConfig config = TRY(ConfigOf(options, node->limits(), id, host.vcpu_count()));
  TRY(CheckNode(config, *node));
  config.stop_vm = [&host, id, name = node->node_name()](bool is_read, bool no_space) {
    return host.IoErrorStop(id, name, is_read, no_space);
  };
  VirtioPciSpec spec;
  spec.id = id;
  spec.driver = "virtio-blk-pci";
  spec.default_vectors = config.queues + 1U;  // as QEMU: the configuration's and one per queue
  spec.bootindex = options.bootindex;
  std::unique_ptr<BlkDevice> device = TRY(BlkDevice::Create(std::move(config), *loop, std::move(node)));
  return VirtioPciDevice::Create(host, spec, options, std::move(device));
}

Result<std::unique_ptr<Device>> CreateBlk(DeviceHost& host, const std::string& id,
                                          const boost::json::object& options) {
  const VirtioBlkOptions parsed = TRY(FromJson<VirtioBlkOptions>(
      options, {.path = "virtio-blk-pci", .field_word = "property", .lenient = true}));
  return Prefix(Build(host, id, parsed), id);
}

}  // namespace

Result<> Validate(const VirtioBlkOptions& options) {
  TRY(Validate(static_cast<const VirtioPciOptions&>(options)));
  if (options.drive.empty()) {
    return Fail(Errc::kInvalidArgument,
                "drive is missing; name a -drive id or a -blockdev node-name: drive=disk0");
  }
  if (options.serial && options.serial->size() > blk::kIdBytes) {
    return Fail(Errc::kInvalidArgument, "serial={} is too long; a serial number has at most {} bytes",
                *options.serial, blk::kIdBytes);
  }
  if (options.num_queues && (*options.num_queues == 0 || *options.num_queues > kMaxBlkQueues)) {
    return Fail(Errc::kInvalidArgument, "num-queues={} is impossible; give 1 to {}", *options.num_queues,
                kMaxBlkQueues);
  }
  // Below 4 a request with its header and status has no room for data.
  if (!IsPowerOfTwo(options.queue_size) || options.queue_size < 4 || options.queue_size > kMaxQueueSize) {
    return Fail(Errc::kInvalidArgument, "queue-size={} is impossible; give a power of two from 4 to {}",
                options.queue_size, kMaxQueueSize);
  }
  TRY(CheckBlockSize(options.logical_block_size, "logical_block_size"));
  TRY(CheckBlockSize(options.physical_block_size, "physical_block_size"));
  for (const auto& [sectors, name] :
       {std::pair(options.max_discard_sectors, "max-discard-sectors"),
        std::pair(options.max_write_zeroes_sectors, "max-write-zeroes-sectors")}) {
    if (sectors == 0 || sectors > blk::kMaxRequestSectors) {
      return Fail(Errc::kInvalidArgument, "{}={} is impossible; give 1 to {}", name, sectors,
                  blk::kMaxRequestSectors);
    }
  }
  if (options.rerror == BlkOnError::kEnospc) {
    return Fail(Errc::kInvalidArgument,
                "rerror=enospc makes no sense: a read takes no space; say report, ignore or stop");
  }
  const bool some = options.cyls != 0 || options.heads != 0 || options.secs != 0;
  if (some && (options.cyls == 0 || options.heads == 0 || options.secs == 0)) {
    return Fail(Errc::kInvalidArgument, "cyls, heads and secs belong together; give all three or none");
  }
  if (options.scsi) {
    return Fail(Errc::kUnsupported,
                "scsi=on cannot be served; use a SCSI controller for SCSI commands, or leave it out");
  }
  return {};
}

const DeviceFactory& VirtioBlkPciFactory() {
  static const DeviceFactory kFactory = {
      .driver = "virtio-blk-pci",
      .aliases = {"virtio-blk"},
      .description = "disk",
      .bus = "PCI",
      .options = [] { return &TypeOf<VirtioBlkOptions>(); },
      .create = CreateBlk,
  };
  return kFactory;
}

}  // namespace nandu

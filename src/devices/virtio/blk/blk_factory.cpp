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

Result<BlkDeviceConfig> ConfigOf(const VirtioBlkOptions& options, const BlockLimits& limits, unsigned vcpus) {
  BlkDeviceConfig config;
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

// One loop per queue, or one for all.
Result<std::vector<EventLoop*>> LoopsOf(DeviceHost& host, const VirtioBlkOptions& options, unsigned queues) {
  std::vector<EventLoop*> loops;
  if (!options.iothread_vq_mapping) {
    loops.push_back(TRY(host.FindIoLoop(options.iothread.value_or(""))));
    return loops;
  }
  for (const size_t entry : TRY(QueueEntries(*options.iothread_vq_mapping, queues))) {
    loops.push_back(TRY(host.FindIoLoop((*options.iothread_vq_mapping)[entry].iothread)));
  }
  return loops;
}

DiskFacts FactsOf(const std::string& drive, const BlkDeviceConfig& config, const std::string& node_name) {
  const auto stops = [](BlkErrorPolicy policy) {
    return policy == BlkErrorPolicy::kStop || policy == BlkErrorPolicy::kEnospc;
  };
  DiskFacts facts;
  // A disk may name a node or a -drive; the two have names of one kind.
  facts.drive = drive == node_name ? std::string() : drive;
  facts.node_name = node_name;
  facts.part = "/virtio-backend";
  facts.tells_status = stops(config.read_errors) || stops(config.write_errors);
  return facts;
}

UniqueFunction<bool(const BlkError&)> ErrorReporter(DeviceHost& host, const std::string& id,
                                                    const DiskFacts& facts) {
  return [&host, id, facts](const BlkError& error) {
    BlockError told;
    told.device = id;
    told.drive = facts.drive;
    told.node_name = facts.node_name;
    told.is_read = error.is_read;
    told.action = error.action == BlkErrorPolicy::kStop     ? BlockError::Action::kStop
                  : error.action == BlkErrorPolicy::kIgnore ? BlockError::Action::kIgnore
                                                            : BlockError::Action::kReport;
    if (facts.tells_status) {
      told.no_space = error.no_space;
    }
    told.sys_errno = error.sys_errno;
    return host.OnBlockError(told);
  };
}

Result<std::unique_ptr<Device>> Build(DeviceHost& host, const std::string& id,
                                      const VirtioBlkOptions& options, std::string_view driver) {
  std::shared_ptr<BlockNode> node = TRY(options.share_rw ? host.ClaimSharedBlockNode(options.drive, id)
                                                         : host.ClaimBlockNode(options.drive, id));
  BlkDeviceConfig config = TRY(ConfigOf(options, node->limits(), host.vcpu_count()));
  TRY(CheckNode(config, *node));
  const std::vector<EventLoop*> loops = TRY(LoopsOf(host, options, config.queues));
  const DiskFacts facts = FactsOf(options.drive, config, node->node_name());
  config.on_error = ErrorReporter(host, id, facts);
  VirtioPciSpec spec;
  spec.id = id;
  spec.driver = driver;
  spec.default_vectors = config.queues + 1U;  // as QEMU: the configuration's and one per queue
  spec.bootindex = options.bootindex;
  spec.boot_path_end = "/disk@0,0";
  std::unique_ptr<BlkDevice> device = TRY(BlkDevice::Create(std::move(config), loops, std::move(node)));
  spec.disk = [facts, disk = device.get()] {  // which the PCI device owns
    DiskFacts now = facts;
    now.writeback = disk->writeback();
    return now;
  };
  return VirtioPciDevice::Create(host, spec, options, std::move(device));
}

constexpr VirtioPciNames kNames = {
    {"virtio-blk-pci", "virtio-blk-pci-transitional", "virtio-blk-pci-non-transitional"},
    "virtio-blk",
    "disk"};

Result<std::unique_ptr<Device>> CreateBlk(DeviceHost& host, const std::string& id,
                                          const VirtioBlkOptions& parsed, std::string_view driver) {
  return Prefix(Build(host, id, parsed, driver), id);
}

}  // namespace

// The rules are QEMU 9.0's (its virtio-blk documentation): all entries name queues or none does, and every
// queue has one iothread.
Result<std::vector<size_t>> QueueEntries(const std::vector<IothreadVqMapping>& mapping, unsigned queues) {
  constexpr std::string_view kProperty = "iothread-vq-mapping";
  std::vector<size_t> entries(queues, mapping.size());
  if (mapping.empty()) {
    return Fail(Errc::kInvalidArgument, "{}: it is empty; name an iothread", kProperty);
  }
  for (size_t i = 0; i < mapping.size(); ++i) {
    const IothreadVqMapping& entry = mapping[i];
    for (size_t other = 0; other < i; ++other) {
      if (mapping[other].iothread == entry.iothread) {
        return Fail(Errc::kInvalidArgument, "{}: iothread '{}' is there twice", kProperty, entry.iothread);
      }
    }
    if (entry.iothread.empty()) {
      return Fail(Errc::kInvalidArgument, "{}: an entry without iothread", kProperty);
    }
    if (entry.vqs.has_value() != mapping[0].vqs.has_value()) {
      return Fail(Errc::kInvalidArgument, "{}: give vqs in every entry or in none", kProperty);
    }
    for (const uint16_t queue : entry.vqs.value_or(std::vector<uint16_t>{})) {
      if (queue >= queues) {
        return Fail(Errc::kInvalidArgument, "{}: queue {} of iothread '{}' does not exist; num-queues is {}",
                    kProperty, queue, entry.iothread, queues);
      }
      if (entries[queue] != mapping.size()) {
        return Fail(Errc::kInvalidArgument, "{}: queue {} is given to '{}' and to '{}'", kProperty, queue,
                    mapping[entries[queue]].iothread, entry.iothread);
      }
      entries[queue] = i;
    }
  }
  for (unsigned queue = 0; queue < queues; ++queue) {
    if (!mapping[0].vqs) {
      entries[queue] = queue % mapping.size();
    } else if (entries[queue] == mapping.size()) {
      return Fail(Errc::kInvalidArgument, "{}: queue {} has no iothread", kProperty, queue);
    }
  }
  return entries;
}

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
  if (options.iothread && options.iothread_vq_mapping) {
    return Fail(Errc::kInvalidArgument, "iothread= and iothread-vq-mapping exclude each other; give one");
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

const DeviceFactory& VirtioBlkPciFactory(VirtioPciVariant variant) {
  return VirtioPciFactoryOf<kNames, VirtioBlkOptions, CreateBlk>(variant);
}

}  // namespace nandu

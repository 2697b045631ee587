#include "devices/storage/disk_options.h"

#include "base/checked.h"

namespace nandu {
namespace {

constexpr uint32_t kSector = 512;
constexpr uint32_t kMaxBlockSize = 2U << 20;

Result<> CheckBlockSize(const std::optional<uint32_t>& size, std::string_view name) {
  if (size && (!IsPowerOfTwo(*size) || *size < kSector || *size > kMaxBlockSize)) {
    return Fail(Errc::kInvalidArgument, "{}={} is no block size; give a power of two from 512 to {}", name,
                *size, kMaxBlockSize);
  }
  return {};
}

DiskErrorPolicy PolicyOf(DiskOnError option, DiskErrorPolicy automatic) {
  switch (option) {
    case DiskOnError::kAuto: return automatic;
    case DiskOnError::kReport: return DiskErrorPolicy::kReport;
    case DiskOnError::kIgnore: return DiskErrorPolicy::kIgnore;
    case DiskOnError::kEnospc: return DiskErrorPolicy::kEnospc;
    case DiskOnError::kStop: return DiskErrorPolicy::kStop;
  }
  return automatic;
}

// Whether an error may stop the VM.
bool Stops(const DiskFront::Config& config) {
  const auto stops = [](DiskErrorPolicy policy) {
    return policy == DiskErrorPolicy::kStop || policy == DiskErrorPolicy::kEnospc;
  };
  return stops(config.read_errors) || stops(config.write_errors);
}

UniqueFunction<bool(const DiskError&)> ErrorReporter(DeviceHost& host, const std::string& id,
                                                     const std::string& drive, const std::string& node_name,
                                                     const DiskFront::Config& config) {
  const bool tells_no_space = Stops(config);
  return [&host, id, drive, node_name, tells_no_space](const DiskError& error) {
    BlockError told;
    told.device = id;
    told.drive = drive;
    told.node_name = node_name;
    told.is_read = error.is_read;
    told.action = error.action == DiskErrorPolicy::kStop     ? BlockError::Action::kStop
                  : error.action == DiskErrorPolicy::kIgnore ? BlockError::Action::kIgnore
                                                             : BlockError::Action::kReport;
    if (tells_no_space) {
      told.no_space = error.no_space;
    }
    told.sys_errno = error.sys_errno;
    return host.OnBlockError(told);
  };
}

Result<std::shared_ptr<BlockNode>> Claim(DeviceHost& host, const DiskOptions& options, const std::string& id,
                                         DiskKind kind) {
  if (kind == DiskKind::kCdrom) {
    if (!options.drive || host.DriveIsEmpty(*options.drive)) {
      return std::shared_ptr<BlockNode>();
    }
    return host.ClaimBlockNodeForReading(*options.drive, id);
  }
  if (!options.drive || options.drive->empty()) {
    return Fail(Errc::kInvalidArgument,
                "drive is missing; name a -drive id or a -blockdev node-name: drive=disk0");
  }
  return options.share_rw ? host.ClaimSharedBlockNode(*options.drive, id)
                          : host.ClaimBlockNode(*options.drive, id);
}

}  // namespace

Result<> Validate(const DiskOptions& options) {
  TRY(CheckBlockSize(options.logical_block_size, "logical_block_size"));
  TRY(CheckBlockSize(options.physical_block_size, "physical_block_size"));
  if (options.rerror == DiskOnError::kEnospc) {
    return Fail(Errc::kInvalidArgument,
                "rerror=enospc makes no sense: a read takes no space; say report, ignore or stop");
  }
  return {};
}

Result<OpenedDisk> OpenDisk(DeviceHost& host, EventLoop& loop, const DiskOptions& options,
                            const std::string& id, DiskKind kind, UniqueFunction<void()> on_size) {
  std::shared_ptr<BlockNode> node = TRY(Claim(host, options, id, kind));
  OpenedDisk opened;
  std::string node_name;
  if (node != nullptr) {
    opened.limits = node->limits();
    node_name = node->node_name();
  }
  // A disk may name a node or a -drive; the two have names of one kind.
  opened.drive = options.drive && *options.drive != node_name ? *options.drive : std::string();
  const uint32_t own_block = kind == DiskKind::kCdrom ? 2048 : opened.limits.logical_block_size;
  opened.logical_block_size = options.logical_block_size.value_or(own_block);
  opened.physical_block_size = options.physical_block_size.value_or(
      std::max(opened.limits.physical_block_size, opened.logical_block_size));
  if (opened.physical_block_size < opened.logical_block_size) {
    return Fail(Errc::kInvalidArgument, "physical_block_size={} is less than logical_block_size={}",
                opened.physical_block_size, opened.logical_block_size);
  }
  if (node != nullptr && opened.logical_block_size % opened.limits.request_alignment != 0) {
    return Fail(Errc::kInvalidArgument,
                "node '{}' takes requests of {} bytes only; add logical_block_size={}", node_name,
                opened.limits.request_alignment, opened.limits.request_alignment);
  }
  opened.write_cache = options.write_cache == DiskSwitch::kAuto ? opened.limits.write_cache
                                                                : options.write_cache == DiskSwitch::kOn;
  DiskFront::Config config;
  config.read_errors = PolicyOf(options.rerror, DiskErrorPolicy::kReport);
  config.write_errors = PolicyOf(options.werror, DiskErrorPolicy::kEnospc);
  opened.tells_status = Stops(config);
  config.on_error = ErrorReporter(host, id, opened.drive, node_name, config);
  config.on_size = std::move(on_size);
  opened.front = TRY(DiskFront::Create(host.control(), loop, std::move(config), std::move(node)));
  return opened;
}

DiskFacts FactsOf(const OpenedDisk& disk, const CdDrive* cd) {
  DiskFacts facts;
  facts.drive = disk.drive;
  facts.node_name = disk.front->node() != nullptr ? disk.front->node()->node_name() : "";
  facts.tells_status = disk.tells_status;
  facts.writeback = disk.write_cache;
  if (cd != nullptr) {
    facts.tray = DiskFacts::Tray{cd->tray_open(), cd->locked()};
  }
  return facts;
}

}  // namespace nandu

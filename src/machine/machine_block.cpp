// The machine's disks, as managers see them: drives in the order they were given, then disks that name nodes.
#include <algorithm>

#include "machine/machine.h"
#include "machine/machine_impl.h"

namespace nandu {
namespace {

ImageFacts ImageOf(const NodeInfo& node) {
  ImageFacts facts;
  facts.node_name = node.node_name;
  facts.driver = node.driver;
  facts.filename = node.filename;
  facts.size_bytes = node.size_bytes;
  facts.allocated_bytes = node.allocated_bytes;
  facts.read_only = node.read_only;
  facts.detect_zeroes = EnumText(node.detect_zeroes);
  facts.writeback = node.write_cache;
  facts.direct = node.direct;
  facts.no_flush = node.no_flush;
  facts.qcow2 = node.qcow2;
  return facts;
}

// With the images under it.
ImageFacts ChainOf(const BlockGraph& blocks, const NodeInfo& node) {
  ImageFacts facts = ImageOf(node);
  for (std::optional<NodeInfo> below = blocks.InfoOf(node.backing); below;
       below = blocks.InfoOf(below->backing)) {
    facts.below.push_back(ImageOf(*below));
  }
  return facts;
}

}  // namespace

// What the disks are going to lock is tried before there is a VM, whose making and unmaking takes a busy host
// seconds: an image that somebody else holds is told at once.
Result<> Machine::Impl::TryImages() {
  for (const DeviceConfig& device : config.devices) {
    const boost::json::value* const drive = device.options.values.if_contains("drive");
    if (drive == nullptr || !drive->is_string() || !backends.blocks.InfoOf(drive->as_string())) {
      continue;
    }
    const bool reads = device.driver.ends_with("-cd");
    TRY(Prefix(
        backends.blocks.Claim(drive->as_string(), device.driver,
                              reads ? BlockGraph::Sharing::kReading : BlockGraph::Sharing::kShareWrites),
        device.options.source));
  }
  return {};
}

// As QEMU names them: by id, unless the disk is a part of a device; devices without an id are numbered.
std::string Machine::Impl::QdevName(size_t device, std::string_view part) const {
  if (const std::string& id = config.devices[device].id; !id.empty()) {
    return part.empty() ? id : Format("/machine/peripheral/{}{}", id, part);
  }
  const auto before =
      std::count_if(config.devices.begin(), config.devices.begin() + static_cast<std::ptrdiff_t>(device),
                    [](const DeviceConfig& each) { return each.id.empty(); });
  return Format("/machine/peripheral-anon/device[{}]{}", before, part);
}

std::vector<ImageFacts> Machine::QueryNodes() const {
  std::vector<ImageFacts> all;
  for (const NodeInfo& node : impl_->backends.blocks.Nodes()) {
    all.push_back(ChainOf(impl_->backends.blocks, node));
  }
  return all;
}

std::vector<BlockFacts> Machine::QueryBlock() const {
  const auto image_of = [this](const std::string& node) {
    const std::optional<NodeInfo> info = impl_->backends.blocks.InfoOf(node);
    return info ? std::optional(ChainOf(impl_->backends.blocks, *info)) : std::nullopt;
  };
  std::vector<BlockFacts> drives;
  for (const DriveConfig& drive : impl_->config.drives) {
    BlockFacts facts;
    facts.drive = drive.id;
    facts.image = image_of(drive.id);
    facts.removable = true;
    drives.push_back(std::move(facts));
  }
  for (size_t i = 0; i < impl_->devices.size(); ++i) {
    const std::optional<DiskFacts> disk = impl_->devices[i]->disk();
    if (!disk) {
      continue;
    }
    auto at = std::find_if(drives.begin(), drives.end(), [&](const BlockFacts& drive) {
      return !disk->drive.empty() && drive.drive == disk->drive;
    });
    at = at == drives.end() ? drives.insert(at, BlockFacts()) : at;
    at->image = disk->node_name.empty() ? std::nullopt : image_of(disk->node_name);
    at->qdev = impl_->QdevName(i, disk->part);
    at->removable = disk->tray.has_value();
    if (disk->tray) {
      at->locked = disk->tray->locked;
      at->tray_open = disk->tray->open;
    }
    if (at->image) {
      at->image->writeback = disk->writeback;
    }
    if (disk->tells_status) {
      at->io_status = impl_->host->io_status(impl_->devices[i]->id());
    }
  }
  return drives;
}

void Machine::ResizeBlock(std::string_view name, uint64_t size_bytes, UniqueFunction<void(Result<>)> done) {
  impl_->backends.blocks.Resize(impl_->loop, name, size_bytes, std::move(done));
}

}  // namespace nandu

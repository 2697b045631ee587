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
  return facts;
}

}  // namespace

// As QEMU's object tree names them: devices without an id are numbered.
std::string Machine::Impl::QdevPath(size_t device) const {
  if (const std::string& id = config.devices[device].id; !id.empty()) {
    return Format("/machine/peripheral/{}/virtio-backend", id);
  }
  const auto before =
      std::count_if(config.devices.begin(), config.devices.begin() + static_cast<std::ptrdiff_t>(device),
                    [](const DeviceConfig& each) { return each.id.empty(); });
  return Format("/machine/peripheral-anon/device[{}]/virtio-backend", before);
}

std::vector<BlockFacts> Machine::QueryBlock() const {
  std::vector<BlockFacts> drives;
  for (const DriveConfig& drive : impl_->config.drives) {
    if (const std::optional<NodeInfo> node = impl_->backends.blocks.InfoOf(drive.id)) {
      drives.push_back({drive.id, std::nullopt, std::nullopt, ImageOf(*node)});
    }
  }
  for (size_t i = 0; i < impl_->devices.size(); ++i) {
    const std::optional<DiskFacts> disk = impl_->devices[i]->disk();
    if (!disk) {
      continue;
    }
    const auto found = std::find_if(drives.begin(), drives.end(), [&](const BlockFacts& drive) {
      return !disk->drive.empty() && drive.drive == disk->drive;
    });
    BlockFacts* at = found == drives.end() ? nullptr : &*found;
    if (at == nullptr) {
      const std::optional<NodeInfo> node = impl_->backends.blocks.InfoOf(disk->node_name);
      if (!node) {
        continue;
      }
      drives.push_back({"", std::nullopt, std::nullopt, ImageOf(*node)});
      at = &drives.back();
    }
    at->qdev = impl_->QdevPath(i);
    at->image.writeback = disk->writeback;
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

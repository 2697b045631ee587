#include "devices/virtio/blk/blk_device.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>

#include "base/check.h"
#include "base/checked.h"
#include "base/time.h"

namespace nandu {
namespace {

// Only what hangs is worth naming when a pause does not end.
constexpr int64_t kStuckAfterNs = 1'000'000'000;

uint64_t FeaturesOf(const BlkDeviceConfig& config, bool read_only) {
  uint64_t features =
      blk::kFeatureSegMax | blk::kFeatureGeometry | blk::kFeatureBlkSize | blk::kFeatureTopology;
  // 5.2.5.2: CONFIG_WCE is of use to drivers that can flush
  features |= config.writeback || config.config_wce ? blk::kFeatureFlush : 0;
  features |= config.config_wce ? blk::kFeatureConfigWce : 0;
  features |= config.queues > 1 ? blk::kFeatureMultiQueue : 0;
  features |= config.discard ? blk::kFeatureDiscard : 0;
  features |= config.write_zeroes ? blk::kFeatureWriteZeroes : 0;
  features |= read_only ? blk::kFeatureReadOnly : 0;
  return features;
}

// As far as the offered features need it, as QEMU: a transitional device's I/O BAR has the size that follows
// from it.
size_t ConfigBytes(const BlkDeviceConfig& config) {
  if (config.write_zeroes) {
    return sizeof(blk::Config);
  }
  return config.discard ? offsetof(blk::Config, max_write_zeroes_sectors)
                        : offsetof(blk::Config, max_discard_sectors);
}

// 16 heads of 63 sectors, as BIOSes assume of a disk nobody knows better.
BlkGeometry GuessGeometry(uint64_t size_bytes, uint32_t logical_block_size) {
  constexpr uint64_t kHeads = 16;
  constexpr uint64_t kSectors = 63;
  BlkGeometry guess;
  guess.heads = kHeads;
  guess.sectors = kSectors;
  const uint64_t cylinders = size_bytes / blk::kSectorBytes / (kHeads * kSectors);
  guess.cylinders = static_cast<uint16_t>(std::clamp<uint64_t>(cylinders, 2, 16383));
  // 5.2.4 counts sectors of 512 bytes; a track is whole blocks where it can be.
  if (size_bytes / kHeads / kSectors % logical_block_size != 0) {
    guess.sectors = static_cast<uint8_t>(AlignDown(kSectors, logical_block_size / blk::kSectorBytes));
  }
  return guess;
}

}  // namespace

BlkDevice::BlkDevice(BlkDeviceConfig config, std::shared_ptr<BlockNode> node)
    : config_(std::move(config)),
      node_(std::move(node)),
      shared_(std::make_shared<BlkShared>()),
      features_(FeaturesOf(config_, node_->limits().read_only)),
      config_bytes_(ConfigBytes(config_)),
      shown_{} {
  const BlockLimits limits = node_->limits();
  const uint32_t block = config_.logical_block_size;
  BlkGeometry geometry = config_.geometry;
  if (geometry.cylinders == 0) {
    geometry = GuessGeometry(limits.size_bytes, block);
  }
  shown_.seg_max = config_.seg_max;
  shown_.cylinders = geometry.cylinders;
  shown_.heads = geometry.heads;
  shown_.sectors = geometry.sectors;
  shown_.blk_size = block;
  shown_.physical_block_exp = static_cast<uint8_t>(std::countr_zero(config_.physical_block_size / block));
  shown_.min_io_size = static_cast<uint16_t>(config_.min_io_bytes / block);
  shown_.opt_io_size = config_.opt_io_bytes / block;
  shown_.num_queues = config_.queues;
  const uint32_t granularity =
      config_.discard_granularity_bytes != 0 ? config_.discard_granularity_bytes : block;
  shown_.max_discard_sectors = config_.max_discard_sectors;
  shown_.max_discard_seg = 1;
  shown_.discard_sector_alignment = static_cast<uint32_t>(granularity / blk::kSectorBytes);
  shown_.max_write_zeroes_sectors = config_.max_write_zeroes_sectors;
  shown_.max_write_zeroes_seg = 1;
  shown_.write_zeroes_may_unmap = 1;

  shared_->node_name = node_->node_name();
  shared_->size_bytes = AlignDown(limits.size_bytes, blk::kSectorBytes);
  shared_->logical_block_size = block;
  shared_->read_only = limits.read_only;
  shared_->discard = config_.discard;
  shared_->write_zeroes = config_.write_zeroes;
  shared_->max_discard_sectors = config_.max_discard_sectors;
  shared_->max_write_zeroes_sectors = config_.max_write_zeroes_sectors;
  std::copy_n(config_.serial.begin(), std::min(config_.serial.size(), shared_->serial.size()),
              shared_->serial.begin());
  shared_->read_errors = config_.read_errors;
  shared_->write_errors = config_.write_errors;
  shared_->writeback.store(config_.writeback, std::memory_order_relaxed);
}

Result<std::unique_ptr<BlkDevice>> BlkDevice::Create(BlkDeviceConfig config,
                                                     const std::vector<EventLoop*>& loops,
                                                     std::shared_ptr<BlockNode> node) {
  NANDU_CHECK(loops.size() == 1 || loops.size() == config.queues, "each queue has a loop, or all have one");
  UniqueFunction<bool(const BlkError&)> on_error = std::move(config.on_error);
  std::unique_ptr<BlkDevice> device(new BlkDevice(std::move(config), std::move(node)));
  device->shared_->on_error = std::move(on_error);
  device->node_->AddSizeListener(device.get(), [raw = device.get()] { raw->OnNewSize(); });
  for (unsigned i = 0; i < device->config_.queues; ++i) {
    EventLoop& loop = *loops[loops.size() == 1 ? 0 : i];
    std::unique_ptr<BlockChannel> channel = TRY(device->node_->OpenChannel(loop));
    device->queues_.push_back(
        std::make_shared<BlkQueue>(loop, std::move(channel), device->shared_, device->config_.queue_size));
  }
  return device;
}

BlkDevice::~BlkDevice() {
  node_->RemoveSizeListener(this);
  // A channel is closed on its loop, while its node is there.
  for (std::shared_ptr<BlkQueue>& queue : queues_) {
    EventLoop& loop = queue->loop();
    loop.Post([queue = std::move(queue), node = node_]() mutable { queue.reset(); });
  }
}

// The guest hears of it and reads the capacity again; what it sends meanwhile is judged by the new size.
void BlkDevice::OnNewSize() {
  const uint64_t sectors = node_->limits().size_bytes / blk::kSectorBytes;
  shared_->size_bytes.store(sectors * blk::kSectorBytes, std::memory_order_relaxed);
  if (transport_ != nullptr) {
    transport_->ConfigChanged();
  }
}

std::span<const std::byte> BlkDevice::Config() const {
  shown_.capacity = capacity_sectors();
  shown_.writeback = shared_->writeback.load(std::memory_order_relaxed) ? 1 : 0;
  return std::as_bytes(std::span(&shown_, 1)).first(config_bytes_);
}

void BlkDevice::WriteConfig(uint32_t offset, std::span<const std::byte> bytes) {
  // 5.2.4: writeback is the one field a driver may write, and only with CONFIG_WCE
  constexpr uint32_t kWriteback = offsetof(blk::Config, writeback);
  if (config_.config_wce && offset <= kWriteback && kWriteback - offset < bytes.size()) {
    shared_->writeback.store(bytes[kWriteback - offset] != std::byte{0}, std::memory_order_relaxed);
  } else {
    shared_->counters.unsupported.Add();
  }
}

void BlkDevice::FeaturesAccepted(uint64_t features) {
  // 5.2.5.2: a driver that can neither flush nor choose gets each write on stable storage.
  if ((features & blk::kFeatureConfigWce) == 0) {
    shared_->writeback.store((features & blk::kFeatureFlush) != 0, std::memory_order_relaxed);
  }
}

void BlkDevice::Start(ActiveQueue queue, std::vector<ParkedChain> parked) {
  const std::shared_ptr<BlkQueue>& data = queues_[queue.index];
  data->loop().Post([data, active = std::move(queue), parked = std::move(parked)]() mutable {
    data->Start(std::move(active), parked);
  });
}

Result<> BlkDevice::Activate(ActivateArgs args, std::vector<RequeuedChains> requeue) {
  for (ActiveQueue& queue : args.queues) {
    std::vector<ParkedChain> parked;
    for (RequeuedChains& chains : requeue) {
      if (chains.index == queue.index) {
        parked = std::move(chains.parked);
      }
    }
    Start(std::move(queue), std::move(parked));
  }
  return {};
}

Result<> BlkDevice::ActivateQueue(ActiveQueue queue) {
  Start(std::move(queue), {});
  return {};
}

void BlkDevice::Quiesce(UniqueFunction<void(std::vector<QueueAtRest>)> done) {
  // Gathers what the queues give back, each from its loop; the last one tells.
  struct Gathering {
    std::mutex mutex;
    size_t missing;
    std::vector<QueueAtRest> rest;
    UniqueFunction<void(std::vector<QueueAtRest>)> done;
  };
  auto gathering = std::make_shared<Gathering>();
  gathering->missing = queues_.size();
  gathering->done = std::move(done);
  for (const std::shared_ptr<BlkQueue>& queue : queues_) {
    queue->loop().Post([queue, gathering] {
      queue->Stop([gathering](std::optional<QueueAtRest> one) {
        {
          const std::lock_guard lock(gathering->mutex);
          if (one) {
            gathering->rest.push_back(std::move(*one));
          }
          if (--gathering->missing > 0) {
            return;
          }
        }
        gathering->done(std::move(gathering->rest));
      });
    });
  }
}

void BlkDevice::QuiesceQueue(unsigned index, UniqueFunction<void(QueueAtRest)> done) {
  const std::shared_ptr<BlkQueue>& queue = queues_[index];
  queue->loop().Post([queue, done = std::move(done)]() mutable {
    queue->Stop([done = std::move(done)](std::optional<QueueAtRest> rest) {
      NANDU_CHECK(rest.has_value(), "only an active queue is quiesced alone");
      done(std::move(*rest));
    });
  });
}

std::vector<std::string> BlkDevice::StuckRequests() const {
  std::vector<std::string> stuck;
  for (const std::shared_ptr<BlkQueue>& queue : queues_) {
    queue->Stuck(MonotonicNs(), kStuckAfterNs, &stuck);
  }
  return stuck;
}

void BlkDevice::Reset() { shared_->writeback.store(config_.writeback, std::memory_order_relaxed); }

void BlkDevice::Save(const StateWriter& writer) const {
  BlkState state;
  state.writeback = shared_->writeback.load(std::memory_order_relaxed);
  state.capacity_sectors = capacity_sectors();
  writer.Put(state);
}

Result<> BlkDevice::Load(const StateReader& reader) {
  const BlkState state = TRY(reader.Get<BlkState>());
  if (state.capacity_sectors != capacity_sectors()) {
    return Fail(Errc::kCorrupt,
                "the guest's disk has {} sectors, node {} has {}; give it the image it was saved with",
                state.capacity_sectors, shared_->node_name, capacity_sectors());
  }
  shared_->writeback.store(state.writeback, std::memory_order_relaxed);
  return {};
}

}  // namespace nandu

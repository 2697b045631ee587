// virtio-blk, the guest half: features, configuration space, and which queues run. virtio 1.2, section 5.2.
// The data half is blk_queue.h.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include <nandu/block.h>

#include "base/described.h"
#include "devices/virtio/blk/blk_queue.h"
#include "devices/virtio/blk/blk_shared.h"
#include "devices/virtio/virtio_device.h"

namespace nandu {

struct BlkState {
  bool writeback = true;
  uint64_t capacity_sectors = 0;  // a cross-check: the image must be the one the guest knows
};
BOOST_DESCRIBE_STRUCT(BlkState, (), (writeback, capacity_sectors))

// What the options and the node say, already checked.
struct BlkGeometry {
  uint16_t cylinders = 0;
  uint8_t heads = 0;
  uint8_t sectors = 0;
};
struct BlkDeviceConfig {
  std::string serial;  // at most 20 bytes
  uint16_t queues = 1;
  uint16_t queue_size = 256;
  uint32_t seg_max = 254;
  uint32_t logical_block_size = 512;  // bytes, powers of two
  uint32_t physical_block_size = 512;
  uint32_t min_io_bytes = 0;
  uint32_t opt_io_bytes = 0;
  uint32_t discard_granularity_bytes = 0;  // 0: the logical block size
  uint32_t max_discard_sectors = blk::kMaxRequestSectors;
  uint32_t max_write_zeroes_sectors = blk::kMaxRequestSectors;
  BlkGeometry geometry;  // all 0: guessed from the size
  bool config_wce = true;
  bool writeback = true;  // at reset
  bool discard = true;
  bool write_zeroes = true;
  BlkErrorPolicy read_errors = BlkErrorPolicy::kReport;
  BlkErrorPolicy write_errors = BlkErrorPolicy::kEnospc;
  UniqueFunction<bool(const BlkError& error)> on_error;  // see BlkShared
};

class BlkDevice final : public VirtioDevice {
 public:
  // One channel of `node` per queue, on the loop of that queue: one for each queue, or one for all. Control
  // loop, as the destructor and what listens to the node.
  static Result<std::unique_ptr<BlkDevice>> Create(BlkDeviceConfig config,
                                                   const std::vector<EventLoop*>& loops,
                                                   std::shared_ptr<BlockNode> node);
  static Result<std::unique_ptr<BlkDevice>> Create(BlkDeviceConfig config, EventLoop& loop,
                                                   std::shared_ptr<BlockNode> node) {
    return Create(std::move(config), std::vector<EventLoop*>{&loop}, std::move(node));
  }
  ~BlkDevice() override;

  const BlkCounters& counters() const { return shared_->counters; }
  bool writeback() const { return shared_->writeback.load(std::memory_order_relaxed); }  // any thread

  uint16_t type() const override { return 2; }
  std::string_view name() const override { return "virtio-blk"; }
  uint32_t pci_class() const override { return 0x010000; }
  uint64_t Features() const override { return features_; }
  unsigned queue_count() const override { return static_cast<unsigned>(queues_.size()); }
  uint16_t MaxQueueSize(unsigned /*index*/) const override { return config_.queue_size; }
  void SetTransport(VirtioTransport* transport) override { transport_ = transport; }
  std::span<const std::byte> Config() const override;
  void WriteConfig(uint32_t offset, std::span<const std::byte> bytes) override;
  void FeaturesAccepted(uint64_t features) override;
  Result<> Activate(ActivateArgs args, std::vector<RequeuedChains> requeue) override;
  void Quiesce(UniqueFunction<void(std::vector<QueueAtRest>)> done) override;
  void QuiesceQueue(unsigned index, UniqueFunction<void(QueueAtRest)> done) override;
  Result<> ActivateQueue(ActiveQueue queue) override;
  std::vector<std::string> StuckRequests() const override;
  void Reset() override;
  void Save(const StateWriter& writer) const override;
  Result<> Load(const StateReader& reader) override;

 private:
  BlkDevice(BlkDeviceConfig config, std::shared_ptr<BlockNode> node);
  void Start(ActiveQueue queue, std::vector<ParkedChain> parked);
  void OnNewSize();
  uint64_t capacity_sectors() const {
    return shared_->size_bytes.load(std::memory_order_relaxed) / blk::kSectorBytes;
  }

  const BlkDeviceConfig config_;
  const std::shared_ptr<BlockNode> node_;  // outlives the channels
  const std::shared_ptr<BlkShared> shared_;
  const uint64_t features_;
  const size_t config_bytes_;
  VirtioTransport* transport_ = nullptr;  // control loop
  mutable blk::Config shown_;             // under the transport's mutex
  // Used on their loop; messages to them may still be on their way, and their channels are closed there.
  std::vector<std::shared_ptr<BlkQueue>> queues_;
};

}  // namespace nandu

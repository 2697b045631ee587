#include "devices/virtio/scsi/scsi_device.h"

#include <cstring>

#include "base/check.h"

namespace nandu {

Result<> Validate(const ScsiHostState& state) {
  if (state.sense_size > vscsi::kMaxSenseSize || state.cdb_size > vscsi::kMaxCdbSize) {
    return Fail(Errc::kCorrupt, "a sense size of {} or a CDB size of {} is impossible", state.sense_size,
                state.cdb_size);
  }
  return {};
}

ScsiDevice::ScsiDevice(EventLoop& loop, const ScsiHostConfig& config)
    : config_(config), host_(std::make_shared<ScsiHost>(loop, config.request_queues)) {
  shown_.num_queues = config.request_queues;
  shown_.seg_max = config.seg_max;
  shown_.max_sectors = config.max_sectors;
  shown_.cmd_per_lun = config.cmd_per_lun;
  shown_.event_info_size = sizeof(vscsi::Event);
  shown_.max_target = 255;
  shown_.max_lun = 16383;
}

ScsiDevice::~ScsiDevice() {
  EventLoop& loop = host_->loop();
  loop.Post([host = host_] {});  // units and queues go on the loop, after all that was sent there
}

uint64_t ScsiDevice::Features() const {
  return (config_.hotplug ? vscsi::kFeatureHotplug : 0) | (config_.change ? vscsi::kFeatureChange : 0);
}

std::span<const std::byte> ScsiDevice::Config() const {
  shown_.sense_size = host_->sense_size.load(std::memory_order_relaxed);
  shown_.cdb_size = host_->cdb_size.load(std::memory_order_relaxed);
  return std::as_bytes(std::span(&shown_, 1));
}

void ScsiDevice::WriteConfig(uint32_t offset, std::span<const std::byte> bytes) {
  // 5.6.4: these two are the driver's to choose, before it starts its queues.
  vscsi::Config written{};
  const std::span<const std::byte> now = Config();
  std::memcpy(&written, now.data(), now.size());
  std::memcpy(reinterpret_cast<std::byte*>(&written) + offset, bytes.data(), bytes.size());
  if (written.sense_size <= vscsi::kMaxSenseSize && written.cdb_size <= vscsi::kMaxCdbSize) {
    host_->sense_size.store(written.sense_size, std::memory_order_relaxed);
    host_->cdb_size.store(written.cdb_size, std::memory_order_relaxed);
  }
}

void ScsiDevice::FeaturesAccepted(uint64_t features) {
  host_->tells_changes.store((features & vscsi::kFeatureChange) != 0, std::memory_order_relaxed);
}

Result<> ScsiDevice::Activate(ActivateArgs args, std::vector<RequeuedChains> requeue) {
  for (ActiveQueue& queue : args.queues) {
    std::vector<ParkedChain> parked;
    for (RequeuedChains& chains : requeue) {
      if (chains.index == queue.index) {
        parked = std::move(chains.parked);
      }
    }
    host_->loop().Post([host = host_, active = std::move(queue), parked = std::move(parked)]() mutable {
      host->Start(std::move(active), parked);
    });
  }
  return {};
}

Result<> ScsiDevice::ActivateQueue(ActiveQueue queue) {
  host_->loop().Post([host = host_, active = std::move(queue)]() mutable { host->Start(std::move(active), {}); });
  return {};
}

void ScsiDevice::Quiesce(UniqueFunction<void(std::vector<QueueAtRest>)> done) {
  host_->loop().Post([host = host_, done = std::move(done)]() mutable {
    struct Gathering {
      size_t missing;
      std::vector<QueueAtRest> rest;
      UniqueFunction<void(std::vector<QueueAtRest>)> done;
    };
    auto gathering = std::make_shared<Gathering>();
    gathering->missing = host->queue_count();
    gathering->done = std::move(done);
    // Requests first: a function in the control queue waits for them.
    for (unsigned index = host->queue_count(); index > 0; --index) {
      host->Stop(index - 1, [gathering](std::optional<QueueAtRest> one) {
        if (one) {
          gathering->rest.push_back(std::move(*one));
        }
        if (--gathering->missing == 0) {
          gathering->done(std::move(gathering->rest));
        }
      });
    }
  });
}

void ScsiDevice::QuiesceQueue(unsigned index, UniqueFunction<void(QueueAtRest)> done) {
  host_->loop().Post([host = host_, index, done = std::move(done)]() mutable {
    host->Stop(index, [done = std::move(done)](std::optional<QueueAtRest> rest) {
      NANDU_CHECK(rest.has_value(), "only an active queue is quiesced alone");
      done(std::move(*rest));
    });
  });
}

void ScsiDevice::Reset() {
  host_->sense_size.store(vscsi::kDefaultSenseSize, std::memory_order_relaxed);
  host_->cdb_size.store(vscsi::kDefaultCdbSize, std::memory_order_relaxed);
  host_->events_missed.store(false, std::memory_order_relaxed);
  host_->tells_changes.store(false, std::memory_order_relaxed);
  host_->loop().Post([host = host_] { host->ResetUnits(); });
}

void ScsiDevice::Save(const StateWriter& writer) const {
  ScsiHostState state;
  state.sense_size = host_->sense_size.load(std::memory_order_relaxed);
  state.cdb_size = host_->cdb_size.load(std::memory_order_relaxed);
  state.events_missed = host_->events_missed.load(std::memory_order_relaxed);
  state.tells_changes = host_->tells_changes.load(std::memory_order_relaxed);
  writer.Put(state);
}

Result<> ScsiDevice::Load(const StateReader& reader) {
  const ScsiHostState state = TRY(reader.Get<ScsiHostState>());
  host_->sense_size.store(state.sense_size, std::memory_order_relaxed);
  host_->cdb_size.store(state.cdb_size, std::memory_order_relaxed);
  host_->events_missed.store(state.events_missed, std::memory_order_relaxed);
  host_->tells_changes.store(state.tells_changes, std::memory_order_relaxed);
  return {};
}

}  // namespace nandu

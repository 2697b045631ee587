#include "devices/virtio/balloon/balloon_device.h"

#include <cstddef>
#include <optional>
#include <utility>

#include "base/check.h"

namespace nandu {
namespace {

constexpr uint16_t kQueueSize = 128;  // as QEMU
constexpr uint16_t kReportingQueueSize = 32;

uint64_t FeaturesOf(const BalloonDeviceConfig& config) {
  return balloon::kFeatureStatsVq | (config.deflate_on_oom ? balloon::kFeatureDeflateOnOom : 0) |
         (config.page_poison ? balloon::kFeaturePagePoison : 0) |
         (config.free_page_reporting ? balloon::kFeaturePageReporting : 0);
}

// As far as the offered features need it, as QEMU: a transitional device's I/O BAR has the size that follows
// from it.
size_t ConfigBytes(const BalloonDeviceConfig& config) {
  return config.page_poison || config.full_config ? sizeof(balloon::Config)
                                                  : offsetof(balloon::Config, free_page_hint_cmd_id);
}

}  // namespace

BalloonDevice::BalloonDevice(const BalloonDeviceConfig& config, EventLoop& loop, Clock& clock,
                             std::shared_ptr<BalloonControl> control)
    : features_(FeaturesOf(config)),
      config_bytes_(ConfigBytes(config)),
      control_(std::move(control)),
      queues_(std::make_shared<BalloonQueues>(loop, control_)),
      stats_timer_(
          clock.CreateTimer([queues = queues_] { queues->loop().Post([queues] { queues->PollStats(); }); })) {
  control_->SetStatsTimer(stats_timer_.get());
  control_->SetStatsInterval(config.stats_interval_s);
}

BalloonDevice::~BalloonDevice() {
  // A monitor may hold the control a little longer.
  control_->SetTransport(nullptr);
  control_->SetStatsTimer(nullptr);
}

unsigned BalloonDevice::queue_count() const {
  const bool reports = (features_ & balloon::kFeaturePageReporting) != 0;
  return reports ? balloon::kReportingQueue + 1 : balloon::kStatsQueue + 1;
}

uint16_t BalloonDevice::MaxQueueSize(unsigned index) const {
  return index == balloon::kReportingQueue ? kReportingQueueSize : kQueueSize;
}

std::span<const std::byte> BalloonDevice::Config() const {
  shown_ = control_->Shown();
  return std::as_bytes(std::span(&shown_, 1)).first(config_bytes_);
}

void BalloonDevice::WriteConfig(uint32_t offset, std::span<const std::byte> bytes) {
  if (!control_->WriteConfig(offset, bytes)) {
    queues_->counters().ignored_config_writes.Add();
  }
}

Result<> BalloonDevice::Activate(ActivateArgs args, std::vector<RequeuedChains> requeue) {
  queues_->loop().Post([queues = queues_, args = std::move(args), requeue = std::move(requeue)]() mutable {
    queues->Activate(std::move(args), requeue);
  });
  return {};
}

Result<> BalloonDevice::ActivateQueue(ActiveQueue queue) {
  queues_->loop().Post(
      [queues = queues_, queue = std::move(queue)]() mutable { queues->ActivateQueue(std::move(queue)); });
  return {};
}

void BalloonDevice::Quiesce(UniqueFunction<void(std::vector<QueueAtRest>)> done) {
  queues_->loop().Post([queues = queues_, done = std::move(done)] { done(queues->Quiesce()); });
}

void BalloonDevice::QuiesceQueue(unsigned index, UniqueFunction<void(QueueAtRest)> done) {
  queues_->loop().Post([queues = queues_, index, done = std::move(done)] {
    std::optional<QueueAtRest> queue = queues->QuiesceQueue(index);
    NANDU_CHECK(queue.has_value(), "only a queue that is active is quiesced");
    done(std::move(*queue));
  });
}

Result<> BalloonDevice::Load(const StateReader& reader) {
  const BalloonState state = TRY(reader.Get<BalloonState>());
  if ((state.features & ~features_) != 0) {
    return Fail(Errc::kCorrupt,
                "{}: the guest uses features {:#x} that are not offered here; start with the options of the "
                "source",
                reader.id(), state.features & ~features_);
  }
  if (state.poison != 0 && (state.features & balloon::kFeaturePagePoison) == 0) {
    return Fail(Errc::kCorrupt, "{}: a poison value without the feature", reader.id());
  }
  control_->Load(state);
  return {};
}

}  // namespace nandu

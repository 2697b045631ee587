#include "devices/virtio/rng/rng_device.h"

#include "base/check.h"

namespace nandu {

RngDevice::RngDevice(EventLoop& loop, Clock& clock, std::unique_ptr<EntropySource> source,
                     const RngLimit& limit)
    : source_(std::move(source)), queue_(std::make_shared<RngQueue>(loop, clock, *source_, limit)) {
  if (!limit.unlimited()) {
    timer_ = clock.CreateTimer([queue = queue_] { queue->loop().Post([queue] { queue->Refill(); }); });
    queue_->SetTimer(timer_.get());
  }
}

RngDevice::~RngDevice() = default;

Result<> RngDevice::Activate(ActivateArgs args, std::vector<RequeuedChains> requeue) {
  if (args.queues.empty()) {
    return {};  // the driver enabled none: allowed, and useless
  }
  std::vector<ParkedChain> parked;
  if (!requeue.empty()) {
    parked = std::move(requeue.front().parked);
  }
  queue_->loop().Post([queue = queue_, active = std::move(args.queues.front()),
                       parked = std::move(parked)]() mutable { queue->Start(std::move(active), parked); });
  return {};
}

Result<> RngDevice::ActivateQueue(ActiveQueue queue) {
  queue_->loop().Post(
      [data = queue_, active = std::move(queue)]() mutable { data->Start(std::move(active), {}); });
  return {};
}

void RngDevice::Quiesce(UniqueFunction<void(std::vector<QueueAtRest>)> done) {
  queue_->loop().Post([queue = queue_, done = std::move(done)] {
    std::vector<QueueAtRest> rest;
    if (std::optional<QueueAtRest> one = queue->Stop()) {
      rest.push_back(std::move(*one));
    }
    done(std::move(rest));
  });
}

void RngDevice::QuiesceQueue(unsigned /*index*/, UniqueFunction<void(QueueAtRest)> done) {
  queue_->loop().Post([queue = queue_, done = std::move(done)] {
    std::optional<QueueAtRest> rest = queue->Stop();
    NANDU_CHECK(rest.has_value(), "only an active queue is quiesced alone");
    done(std::move(*rest));
  });
}

void RngDevice::Save(const StateWriter& writer) const { writer.Put(RngState{}); }

Result<> RngDevice::Load(const StateReader& reader) {
  TRY(reader.Get<RngState>());
  return {};
}

}  // namespace nandu

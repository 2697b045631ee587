// When a virtio PCI device runs: the steps between standing still and serving queues, and who waits for them.
#include <algorithm>

#include "base/check.h"
#include "devices/virtio/virtio_features.h"
#include "devices/virtio/virtio_pci_transport.h"

namespace nandu {

using namespace virtio;  // NOLINT: the room's own constants

bool VirtioPciTransport::ShouldRunLocked() const {
  if (paused_ || failed_ || !function_.bus_master()) {
    return false;
  }
  const uint8_t status = status_.load(std::memory_order_relaxed);
  // Old Linux drivers read their disk before DRIVER_OK: with the legacy interface a queue lives as soon as it
  // has its page.
  return (status & kStatusDriverOk) != 0 || (legacy_driver_ && (status & kStatusDriver) != 0);
}

ExitDone VirtioPciTransport::StopAndWait(bool reset) {
  auto token = std::make_shared<ParkedExit>();
  {
    const MutexLock lock(mutex_);
    stop_ = true;
    reset_ = reset_ || reset;
    waiters_.push_back([token] { token->Signal(); });
  }
  Pump();
  return token->signalled() ? ExitDone::Done() : ExitDone::Park(token);
}

// The command register may have changed. PCI 3.0, 6.2.2: without Bus Master Enable a function generates no
// accesses.
ExitDone VirtioPciTransport::OnConfigWrite() {
  InterruptsChanged();
  bool stopping = false;
  {
    const MutexLock lock(mutex_);
    stopping = running_ && !ShouldRunLocked();
  }
  if (stopping) {
    return StopAndWait(/*reset=*/false);
  }
  Pump();
  return ExitDone::Done();
}

ExitDone VirtioPciTransport::ResetQueue(Queue& queue) {
  auto token = std::make_shared<ParkedExit>();
  {
    const MutexLock lock(mutex_);
    if (!queue.resetting) {
      queue.resetting = true;
      const auto at = std::find_if(queues_.begin(), queues_.end(),
                                   [&](const auto& each) { return each.get() == &queue; });
      queue_resets_.push_back(static_cast<unsigned>(at - queues_.begin()));
    }
    queue.reset_waiters.push_back(token);
  }
  Pump();
  return token->signalled() ? ExitDone::Done() : ExitDone::Park(token);
}

void VirtioPciTransport::Pump() {
  std::vector<UniqueFunction<void()>> finished;
  Step step = Step::kNone;
  unsigned index = 0;
  {
    const MutexLock lock(mutex_);
    if (!busy_) {
      step = NextStepLocked(&finished, &index);
      busy_ = step != Step::kNone;
    }
  }
  // Outside the mutex: `done` may run before these return, and goes on with the next step then.
  if (step == Step::kQuiesce) {
    device_.Quiesce([this](std::vector<QueueAtRest> queues) { OnQuiesced(std::move(queues)); });
  } else if (step == Step::kQuiesceQueue) {
    device_.QuiesceQueue(index, [this](QueueAtRest rest) { OnQueueQuiesced(std::move(rest)); });
  }
  // Last: whoever is told may destroy this.
  for (const UniqueFunction<void()>& each : finished) {
    each();
  }
}

VirtioPciTransport::Step VirtioPciTransport::NextStepLocked(std::vector<UniqueFunction<void()>>* finished,
                                                            unsigned* queue) {
  if (running_ && (stop_ || reset_ || !ShouldRunLocked())) {
    return Step::kQuiesce;
  }
  if (!running_) {
    if (std::exchange(reset_, false)) {
      ResetLocked();
    }
    stop_ = false;
    std::move(waiters_.begin(), waiters_.end(), std::back_inserter(*finished));
    waiters_.clear();
  }
  while (!queue_resets_.empty()) {
    const unsigned index = queue_resets_.front();
    queue_resets_.pop_front();
    if (queues_[index]->active) {
      *queue = index;
      return Step::kQuiesceQueue;
    }
    FinishQueueResetLocked(*queues_[index], finished);
  }
  if (!running_ && ShouldRunLocked()) {
    ActivateLocked();
  }
  for (unsigned i = 0; running_ && i < queues_.size(); ++i) {
    if (queues_[i]->enabled && !queues_[i]->active) {
      ActivateQueueLocked(i);
    }
  }
  return Step::kNone;
}

void VirtioPciTransport::FinishQueueResetLocked(Queue& queue, std::vector<UniqueFunction<void()>>* finished) {
  ResetQueueLocked(queue);
  for (const std::shared_ptr<ParkedExit>& token : std::exchange(queue.reset_waiters, {})) {
    finished->push_back([token] { token->Signal(); });
  }
}

Virtqueue VirtioPciTransport::MakeQueueLocked(unsigned index) {
  Queue& queue = *queues_[index];
  queue.active = true;
  return Virtqueue(index, function_.dma(), queue.config, RingFeaturesLocked(), queue.position, *this,
                   queue.counters);
}

void VirtioPciTransport::ActivateLocked() {
  counters_.activations.Add();
  ActivateArgs args;
  args.dma = &function_.dma();
  args.features = features_accepted_ ? driver_features_ : 0;
  std::vector<RequeuedChains> requeue;
  for (unsigned i = 0; i < queues_.size(); ++i) {
    Queue& queue = *queues_[i];
    if (!queue.enabled) {
      continue;
    }
    args.queues.push_back({i, MakeQueueLocked(i), queue.doorbell.get()});
    // A kick or an interrupt lost on the way here is healed; one too many is harmless.
    queue.doorbell->Ring();
    if (heal_ && function_.msix_enabled()) {
      args.queues.back().queue.NotifyAlways();
    }
    if (!queue.parked.empty()) {
      requeue.push_back({i, std::exchange(queue.parked, {})});
    }
  }
  heal_ = false;
  if (Result<> activated = device_.Activate(std::move(args), std::move(requeue)); !activated) {
    counters_.failed_activations.Add();
    log_.Warn("cannot be started: {}", activated.error().message);
    failed_ = true;
    for (const std::unique_ptr<Queue>& queue : queues_) {
      queue->active = false;
    }
    NeedsReset();
    return;
  }
  running_ = true;
}

void VirtioPciTransport::ActivateQueueLocked(unsigned index) {
  Queue& queue = *queues_[index];
  ActiveQueue active{index, MakeQueueLocked(index), queue.doorbell.get()};
  queue.doorbell->Ring();
  if (Result<> activated = device_.ActivateQueue(std::move(active)); !activated) {
    counters_.failed_activations.Add();
    log_.Warn("queue {} cannot be started: {}", index, activated.error().message);
    queue.active = queue.enabled = false;
    NeedsReset();
  }
}

void VirtioPciTransport::TakeBackLocked(QueueAtRest rest) {
  Queue& queue = *queues_[rest.index];
  NANDU_CHECK(queue.active, "a device gives back the queues it was given");
  queue.active = false;
  queue.position = rest.queue.position();
  queue.parked = std::move(rest.parked);
}

void VirtioPciTransport::OnQuiesced(std::vector<QueueAtRest> queues) {
  {
    const MutexLock lock(mutex_);
    for (QueueAtRest& rest : queues) {
      TakeBackLocked(std::move(rest));
    }
    NANDU_CHECK(std::none_of(queues_.begin(), queues_.end(), [](const auto& queue) { return queue->active; }),
                "a quiesced device gave all its queues back");
    running_ = false;
    busy_ = false;
  }
  Pump();
}

void VirtioPciTransport::OnQueueQuiesced(QueueAtRest rest) {
  std::vector<UniqueFunction<void()>> finished;
  {
    const MutexLock lock(mutex_);
    const unsigned index = rest.index;
    TakeBackLocked(std::move(rest));
    FinishQueueResetLocked(*queues_[index], &finished);
    busy_ = false;
  }
  Pump();
  for (const UniqueFunction<void()>& each : finished) {
    each();
  }
}

void VirtioPciTransport::ResetQueueLocked(Queue& queue) {
  const auto at =
      std::find_if(queues_.begin(), queues_.end(), [&](const auto& each) { return each.get() == &queue; });
  queue.config = {.size = device_.MaxQueueSize(static_cast<unsigned>(at - queues_.begin()))};
  queue.enabled = false;
  queue.resetting = false;
  queue.position = {};
  queue.parked.clear();
  queue.vector.store(kNoVector, std::memory_order_relaxed);
}

// virtio 1.2, 2.1.2 and 4.1.4.3.1.
void VirtioPciTransport::ResetLocked() {
  counters_.resets.Add();
  device_.Reset();
  for (const std::unique_ptr<Queue>& queue : queues_) {
    if (!queue->resetting) {
      ResetQueueLocked(*queue);
    }
  }
  status_.store(0, std::memory_order_release);
  version1_.store(false, std::memory_order_release);
  config_vector_.store(kNoVector, std::memory_order_relaxed);
  queue_select_ = 0;
  device_feature_select_ = driver_feature_select_ = 0;
  driver_features_ = 0;
  features_accepted_ = legacy_driver_ = failed_ = heal_ = false;
  TakeIsr();
}

}  // namespace nandu

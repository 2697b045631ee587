// Queue pairs and the control queue on their loop.
#include "devices/virtio/net/net_data.h"

#include <utility>

#include "base/checked.h"

namespace nandu {
namespace {

NetOffloads OffloadsOf(uint64_t features) {
  NetOffloads offloads;
  offloads.csum = (features & net::kFeatureGuestCsum) != 0;
  offloads.tso4 = (features & net::kFeatureGuestTso4) != 0;
  offloads.tso6 = (features & net::kFeatureGuestTso6) != 0;
  offloads.ecn = (features & net::kFeatureGuestEcn) != 0;
  offloads.ufo = (features & net::kFeatureGuestUfo) != 0;
  return offloads;
}

}  // namespace

NetData::NetData(EventLoop& loop, std::shared_ptr<NetBackend> backend,
                 std::vector<std::unique_ptr<NetChannel>> channels, std::shared_ptr<NetSettings> settings,
                 UniqueFunction<void(const Error&)> failed)
    : loop_(loop), backend_(std::move(backend)), settings_(std::move(settings)), failed_(std::move(failed)) {
  for (std::unique_ptr<NetChannel>& channel : channels) {
    pairs_.push_back({std::move(channel), nullptr, nullptr});
  }
}

NetData::~NetData() { NANDU_CHECK(!active_, "a NIC's data half is quiesced before it goes"); }

// 5.1.2: behind the last pair the driver can use, which is the first one without MQ.
unsigned NetData::control_index() const {
  return (state_.features & net::kFeatureMq) != 0 ? Narrow<unsigned>(2 * pairs_.size()) : 2;
}

void NetData::Activate(std::vector<ActiveQueue> queues, uint64_t features) {
  NANDU_CHECK(!active_, "a NIC is activated once between two quiesces");
  active_ = true;
  {
    const MutexLock lock(settings_->mutex);
    settings_->state.features = features;
    state_ = settings_->state;
  }
  const bool long_header = (features & (net::kFeatureVersion1 | net::kFeatureMrgRxbuf)) != 0;
  framing_.header_bytes = long_header ? net::kHeaderBytes : net::kLegacyHeaderBytes;
  framing_.mergeable = (features & net::kFeatureMrgRxbuf) != 0;
  framing_.backend_header = backend_->has_vnet_header();
  framing_.long_frames =
      (features & (net::kFeatureGuestTso4 | net::kFeatureGuestTso6 | net::kFeatureGuestUfo)) != 0;
  if (const Result<> configured = ConfigureBackend(); !configured) {
    failed_(configured.error());
  }
  for (ActiveQueue& queue : queues) {
    ActivateQueue(std::move(queue));
  }
}

Result<> NetData::ConfigureBackend() {
  TRY(backend_->SetHeaderBytes(framing_.header_bytes));
  TRY(backend_->SetOffloads(OffloadsOf(state_.guest_offloads)));
  TRY(backend_->SetActivePairs(state_.active_pairs));
  return {};
}

void NetData::ActivateQueue(ActiveQueue queue) {
  const unsigned index = queue.index;
  if (index == control_index() && (state_.features & net::kFeatureCtrlVq) != 0) {
    control_.emplace(std::move(queue));
    control_watch_ = loop_.Watch(
        control_->kick_fd, [this] { ServeControl(); }, nullptr);
    return;
  }
  const unsigned pair = index / 2;
  const unsigned usable = (state_.features & net::kFeatureMq) != 0 ? Narrow<unsigned>(pairs_.size()) : 1;
  if (pair >= usable) {
    counters_.ignored_queues.Add();
    ignored_.push_back(std::move(queue));
    return;
  }
  Pair& mine = pairs_[pair];
  if (index % 2 == 0) {
    mine.rx = std::make_unique<NetRx>(loop_, std::move(queue), *mine.channel, framing_, state_, counters_);
  } else {
    mine.tx = std::make_unique<NetTx>(loop_, std::move(queue), *mine.channel, framing_, counters_);
  }
  StartPairs();
}

// Link and number of pairs as they are now.
void NetData::StartPairs() {
  for (size_t i = 0; i < pairs_.size(); ++i) {
    Pair& pair = pairs_[i];
    if (pair.tx) {
      pair.tx->SetLink(state_.link_up);
    }
    if (pair.rx && state_.link_up && i < state_.active_pairs) {
      pair.rx->Start();
    } else if (pair.rx) {
      pair.rx->Stop();
    }
  }
}

std::vector<QueueAtRest> NetData::Quiesce() {
  std::vector<QueueAtRest> queues;
  for (size_t i = 0; i < pairs_.size(); ++i) {
    for (const size_t index : {2 * i, 2 * i + 1}) {
      if (std::optional<QueueAtRest> queue = QuiesceQueue(Narrow<unsigned>(index))) {
        queues.push_back(std::move(*queue));
      }
    }
  }
  if (control_) {
    control_watch_.reset();
    queues.push_back({control_->index, std::move(control_->queue), {}});
    control_.reset();
  }
  for (ActiveQueue& queue : ignored_) {
    queues.push_back({queue.index, std::move(queue.queue), {}});
  }
  ignored_.clear();
  active_ = false;
  return queues;
}

std::optional<QueueAtRest> NetData::QuiesceQueue(unsigned index) {
  std::optional<QueueAtRest> released;
  if (control_ && control_->index == index) {
    control_watch_.reset();
    released = QueueAtRest{index, std::move(control_->queue), {}};
    control_.reset();
    return released;
  }
  for (auto it = ignored_.begin(); it != ignored_.end(); ++it) {
    if (it->index == index) {
      released = QueueAtRest{index, std::move(it->queue), {}};
      ignored_.erase(it);
      return released;
    }
  }
  if (index / 2 >= pairs_.size()) {
    return std::nullopt;
  }
  Pair& pair = pairs_[index / 2];
  if (index % 2 == 0 && pair.rx) {
    released = pair.rx->Release();
    pair.rx.reset();
  } else if (index % 2 == 1 && pair.tx) {
    released = pair.tx->Release();
    pair.tx.reset();
  }
  return released;
}

void NetData::SettingsChanged() {
  state_ = settings_->Copy();
  StartPairs();
}

void NetData::ServeControl() {
  if (!control_) {
    return;
  }
  Virtqueue& queue = control_->queue;
  // One ring's worth a turn: a driver that floods its control queue gets the rest done after the others.
  for (unsigned served = 0; served < queue.size();) {
    std::optional<DescChain> chain = queue.Pop();
    if (!chain) {
      if (queue.EnableKicks()) {
        continue;
      }
      return;
    }
    ++served;
    if (chain->writable_bytes() == 0) {
      counters_.control_malformed.Add();
      queue.Complete(std::move(*chain), 0);
      continue;
    }
    const uint8_t ack = Command(*chain);
    const bool written = chain->Write(0, &ack, sizeof(ack));
    NANDU_CHECK(written, "there is room for the answer");
    queue.Complete(std::move(*chain), sizeof(ack));
  }
  loop_.Post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) {
      ServeControl();
    }
  });
}

uint8_t NetData::Command(DescChain& chain) {
  counters_.control_commands.Add();
  NetControlResult result;
  {
    const MutexLock lock(settings_->mutex);
    result = HandleNetControl(chain, Narrow<unsigned>(pairs_.size()), &settings_->state);
  }
  if (result.ack == net::kControlOk) {
    SettingsChanged();
    if (const Result<> applied = Apply(result.effect); !applied) {
      failed_(applied.error());
      result.ack = net::kControlError;
    }
  }
  counters_.control_refused.Add(result.ack == net::kControlOk ? 0 : 1);
  return result.ack;
}

Result<> NetData::Apply(NetControlEffect effect) {
  switch (effect) {
    case NetControlEffect::kNone:
    case NetControlEffect::kFilter: return {};
    case NetControlEffect::kPairs: return backend_->SetActivePairs(state_.active_pairs);
    case NetControlEffect::kOffloads: return backend_->SetOffloads(OffloadsOf(state_.guest_offloads));
  }
  return {};
}

}  // namespace nandu

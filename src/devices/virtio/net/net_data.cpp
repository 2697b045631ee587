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
                 std::shared_ptr<NetVhost> vhost, UniqueFunction<void(const Error&)> failed)
    : loop_(loop),
      backend_(std::move(backend)),
      settings_(std::move(settings)),
      vhost_(std::move(vhost)),
      failed_(std::move(failed)) {
  for (std::unique_ptr<NetChannel>& channel : channels) {
    pairs_.emplace_back().channel = std::move(channel);
  }
}

NetData::~NetData() { NANDU_CHECK(!active_, "a NIC's data half is quiesced before it goes"); }

// 5.1.2: behind the last pair the driver can use, which is the first one without MQ.
unsigned NetData::control_index() const {
  return (state_.features & net::kFeatureMq) != 0 ? Narrow<unsigned>(2 * pairs_.size()) : 2;
}

void NetData::Activate(ActivateArgs args) {
  NANDU_CHECK(!active_, "a NIC is activated once between two quiesces");
  const uint64_t features = args.features;
  active_ = true;
  dma_ = args.dma;
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
  use_kernel_ = vhost_ != nullptr;
  if (use_kernel_) {
    if (const Result<> set = vhost_->SetFeatures(features); !set) {
      RefusedByKernel(set.error());
    }
  }
  for (ActiveQueue& queue : args.queues) {
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
    control_watch_ = control_->doorbell->Watch(loop_, [this] { ServeControl(); });
    return;
  }
  const unsigned pair = index / 2;
  const unsigned usable = (state_.features & net::kFeatureMq) != 0 ? Narrow<unsigned>(pairs_.size()) : 1;
  if (pair >= usable) {
    counters_.ignored_queues.Add();
    ignored_.push_back(std::move(queue));
    return;
  }
  pairs_[pair].doorbells.at(index % 2) = queue.doorbell;
  ServeHere(std::move(queue));
  StartPairs();
}

void NetData::ServeHere(ActiveQueue queue) {
  Pair& mine = pairs_[queue.index / 2];
  if (queue.index % 2 == 0) {
    mine.rx = std::make_unique<NetRx>(loop_, std::move(queue), *mine.channel, framing_, state_, counters_);
  } else {
    mine.tx = std::make_unique<NetTx>(loop_, std::move(queue), *mine.channel, framing_, counters_);
  }
}

// Link and number of pairs as they are now.
void NetData::StartPairs() {
  for (unsigned i = 0; i < pairs_.size(); ++i) {
    PlaceRings(i);
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

// As QEMU: the kernel serves pairs that are in use while the link is up. Whoever has the ring gives it back
// first.
void NetData::PlaceRings(unsigned pair) {
  Pair& mine = pairs_[pair];
  const bool wanted = use_kernel_ && vhost_->Has(pair) && state_.link_up && pair < state_.active_pairs;
  for (const unsigned index : {2 * pair, 2 * pair + 1}) {
    std::optional<ActiveQueue>& kernel = mine.kernel.at(index % 2);
    const bool here = index % 2 == 0 ? mine.rx != nullptr : mine.tx != nullptr;
    if (wanted && use_kernel_ && here) {
      GiveToKernel(index);
    } else if (!wanted && kernel) {
      vhost_->Stop(*kernel);
      ActiveQueue back = std::move(*kernel);
      kernel.reset();
      ServeHere(std::move(back));
    }
  }
}

void NetData::GiveToKernel(unsigned index) {
  Pair& mine = pairs_[index / 2];
  std::optional<ActiveQueue>& kernel = mine.kernel.at(index % 2);
  std::optional<QueueAtRest> rest = TakeFromHere(index);
  kernel.emplace(ActiveQueue{index, std::move(rest->queue), mine.doorbells.at(index % 2)});
  if (const Result<> started = vhost_->Start(*kernel, *dma_); !started) {
    ActiveQueue back = std::move(*kernel);
    kernel.reset();
    ServeHere(std::move(back));
    RefusedByKernel(started.error());
    return;
  }
  counters_.kernel_rings.Add();
}

// As QEMU falls back, until the driver starts anew.
void NetData::RefusedByKernel(const Error& error) {
  counters_.kernel_refusals.Add();
  use_kernel_ = false;
  log_.Warn("vhost-net cannot be used: {}; nandu serves the queues itself", error.message);
}

std::optional<QueueAtRest> NetData::TakeFromHere(unsigned index) {
  Pair& mine = pairs_[index / 2];
  std::optional<QueueAtRest> taken;
  if (index % 2 == 0 && mine.rx) {
    taken = mine.rx->Release();
    mine.rx.reset();
  } else if (index % 2 == 1 && mine.tx) {
    taken = mine.tx->Release();
    mine.tx.reset();
  }
  return taken;
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
  dma_ = nullptr;
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
  if (std::optional<ActiveQueue>& kernel = pairs_[index / 2].kernel.at(index % 2)) {
    vhost_->Stop(*kernel);
    released = QueueAtRest{index, std::move(kernel->queue), {}};
    kernel.reset();
    return released;
  }
  return TakeFromHere(index);
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
    const uint16_t pairs_before = state_.active_pairs;
    state_ = settings_->Copy();
    // A queue of the backend is attached before anybody reads from it, and detached after.
    const bool more = state_.active_pairs > pairs_before;
    if (!more) {
      StartPairs();
    }
    if (const Result<> applied = Apply(result.effect); !applied) {
      failed_(applied.error());
      result.ack = net::kControlError;
    }
    if (more) {
      StartPairs();
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

// virtio-net's guest half.
#include "devices/virtio/net/net_device.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/check.h"

namespace nandu {
namespace {

constexpr uint16_t kControlQueueSize = 64;

// 5.1.4: the configuration ends with the last field that an offered feature gives a meaning.
size_t ConfigBytes(uint64_t features) {
  size_t bytes = 0;
  const auto needs = [&](uint64_t feature, size_t end) {
    bytes = (features & feature) != 0 ? std::max(bytes, end) : bytes;
  };
  needs(net::kFeatureMac, offsetof(net::Config, status));
  needs(net::kFeatureStatus, offsetof(net::Config, max_virtqueue_pairs));
  needs(net::kFeatureMq, offsetof(net::Config, mtu));
  needs(net::kFeatureMtu, offsetof(net::Config, speed));
  needs(net::kFeatureSpeedDuplex, sizeof(net::Config));
  return bytes;
}

}  // namespace

namespace {

// Null when the backend's pairs are all ours to serve.
std::shared_ptr<NetVhost> VhostOf(NetBackend& backend, unsigned pairs, EventLoop& loop,
                                  std::shared_ptr<TransportSlot> transport) {
  std::vector<std::shared_ptr<VhostPair>> all;
  bool any = false;
  for (unsigned pair = 0; pair < pairs; ++pair) {
    all.push_back(backend.vhost(pair));
    any = any || all.back() != nullptr;
  }
  return any ? std::make_shared<NetVhost>(loop, std::move(all), std::move(transport)) : nullptr;
}

}  // namespace

NetDevice::NetDevice(const NetDeviceConfig& config, EventLoop& loop, std::shared_ptr<NetBackend> backend,
                     std::vector<std::unique_ptr<NetChannel>> channels)
    : config_(config),
      loop_(loop),
      settings_(std::make_shared<NetSettings>()),
      transport_(std::make_shared<TransportSlot>()),
      vhost_(VhostOf(*backend, config.pairs, loop, transport_)),
      config_bytes_(ConfigBytes(config.features)) {
  {
    const MutexLock lock(settings_->mutex);
    settings_->state = InitialState();
  }
  auto failed = [transport = transport_](const Error& error) {
    Log(LogLevel::kError, "virtio-net: {}", error.message);
    if (VirtioTransport* const up = transport->pointer) {
      up->NeedsReset();
    }
  };
  data_ = std::make_shared<NetData>(loop, std::move(backend), std::move(channels), settings_, vhost_,
                                    std::move(failed));
}

NetDevice::~NetDevice() {
  transport_->pointer = nullptr;
  // The channels live on the loop and end there.
  loop_.Post([data = std::move(data_)]() mutable { data.reset(); });
}

void NetDevice::SetTransport(VirtioTransport* transport) {
  transport_->pointer = transport;
  if (transport != nullptr && vhost_) {
    transport->SetInterruptListener([vhost = vhost_] { vhost->InterruptsChanged(); });
  }
}

NetState NetDevice::InitialState() const {
  NetState state;
  state.mac = config_.mac;
  return state;
}

uint16_t NetDevice::MaxQueueSize(unsigned index) const {
  if (has_control() && index == 2 * config_.pairs) {
    return kControlQueueSize;
  }
  return index % 2 == 0 ? config_.rx_queue_size : config_.tx_queue_size;
}

std::span<const std::byte> NetDevice::Config() const {
  const NetState state = settings_->Copy();
  net::Config config{};
  config.mac = state.mac;
  config.status = static_cast<uint16_t>((state.link_up ? net::kStatusLinkUp : 0) |
                                        (state.announce ? net::kStatusAnnounce : 0));
  config.max_virtqueue_pairs = static_cast<uint16_t>(config_.pairs);
  config.mtu = config_.mtu;
  config.speed = config_.speed;
  config.duplex = config_.duplex;
  std::memcpy(shown_.data(), &config, sizeof(config));
  return std::span(shown_).first(config_bytes_);
}

// 5.1.4.1: legacy drivers may set the MAC address here when CTRL_MAC_ADDR was not negotiated; all else is
// read-only.
void NetDevice::WriteConfig(uint32_t offset, std::span<const std::byte> bytes) {
  {
    const MutexLock lock(settings_->mutex);
    NetState& state = settings_->state;
    const bool legacy = (state.features & (net::kFeatureVersion1 | net::kFeatureCtrlMacAddr)) == 0;
    if (!legacy || offset + bytes.size() > state.mac.size()) {
      data_->counters().ignored_config_writes.Add();
      return;
    }
    std::memcpy(state.mac.data() + offset, bytes.data(), bytes.size());
  }
  PostSettingsChanged();
}

void NetDevice::FeaturesAccepted(uint64_t features) {
  const MutexLock lock(settings_->mutex);
  settings_->state.features = features;
  settings_->state.guest_offloads = features & net::kGuestOffloads;
}

Result<> NetDevice::Activate(ActivateArgs args, std::vector<RequeuedChains> requeue) {
  for (const RequeuedChains& each : requeue) {
    if (!each.parked.empty()) {
      return Fail(Errc::kCorrupt, "virtio-net: queue {} has parked requests, and a NIC parks none",
                  each.index);
    }
  }
  loop_.Post([data = data_, args = std::move(args)]() mutable { data->Activate(std::move(args)); });
  return {};
}

void NetDevice::Quiesce(UniqueFunction<void(std::vector<QueueAtRest>)> done) {
  loop_.Post([data = data_, done = std::move(done)] { done(data->Quiesce()); });
}

void NetDevice::QuiesceQueue(unsigned index, UniqueFunction<void(QueueAtRest)> done) {
  loop_.Post([data = data_, index, done = std::move(done)] {
    std::optional<QueueAtRest> queue = data->QuiesceQueue(index);
    NANDU_CHECK(queue.has_value(), "only a queue that is active is quiesced");
    done(std::move(*queue));
  });
}

Result<> NetDevice::ActivateQueue(ActiveQueue queue) {
  loop_.Post([data = data_, queue = std::move(queue)]() mutable { data->ActivateQueue(std::move(queue)); });
  return {};
}

void NetDevice::Reset() {
  const MutexLock lock(settings_->mutex);
  const bool link_up = settings_->state.link_up;  // the cable stays where it is
  settings_->state = InitialState();
  settings_->state.link_up = link_up;
}

void NetDevice::SetLink(bool up) {
  {
    const MutexLock lock(settings_->mutex);
    if (settings_->state.link_up == up) {
      return;
    }
    settings_->state.link_up = up;
  }
  PostSettingsChanged();
  if (VirtioTransport* const transport = transport_->pointer) {
    transport->ConfigChanged();
  }
}

void NetDevice::Announce() {
  {
    const MutexLock lock(settings_->mutex);
    if ((settings_->state.features & net::kFeatureGuestAnnounce) == 0) {
      return;
    }
    settings_->state.announce = true;
  }
  if (VirtioTransport* const transport = transport_->pointer) {
    transport->ConfigChanged();
  }
}

void NetDevice::PostSettingsChanged() {
  loop_.Post([data = data_] { data->SettingsChanged(); });
}

void NetDevice::Save(const StateWriter& writer) const { writer.Put(settings_->Copy()); }

Result<> NetDevice::Load(const StateReader& reader) {
  const NetState state = TRY(reader.Get<NetState>());
  TRY(Prefix(CheckNetState(state, config_.features, config_.pairs), reader.id()));
  const MutexLock lock(settings_->mutex);
  settings_->state = state;
  return {};
}

}  // namespace nandu

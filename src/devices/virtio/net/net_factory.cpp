// virtio-net-pci: from options to a device.
#include "devices/virtio/net/net_factory.h"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <charconv>

#include <nandu/vhost.h>

#include "base/checked.h"
#include "base/log.h"
#include "devices/virtio/virtio_features.h"
#include "devices/virtio/virtio_pci_device.h"

namespace nandu {
namespace {

constexpr uint16_t kMinQueue = 256;  // as QEMU
constexpr uint16_t kMaxQueue = 1024;
constexpr uint16_t kMinMtu = 68;  // RFC 791

Result<> CheckQueueSize(std::string_view name, uint16_t size) {
  if (size < kMinQueue || size > kMaxQueue || !IsPowerOfTwo(size)) {
    return Fail(Errc::kInvalidArgument, "{}={} is no power of two from {} to {}", name, size, kMinQueue,
                kMaxQueue);
  }
  return {};
}

// A card whose cable is not plugged into anything: what it sends is gone, nothing comes.
class NoPeer final : public NetBackend {
 public:
  const std::string& id() const override { return id_; }
  std::string_view type() const override { return "none"; }
  unsigned queue_pairs() const override { return 1; }
  bool has_vnet_header() const override { return true; }
  NetOffloads offloads() const override { return {}; }
  Result<> SetHeaderBytes(unsigned /*bytes*/) override { return {}; }
  Result<> SetOffloads(const NetOffloads& /*receive*/) override { return {}; }
  Result<> SetActivePairs(unsigned /*pairs*/) override { return {}; }
  Result<std::unique_ptr<NetChannel>> OpenChannel(unsigned /*pair*/, EventLoop& /*loop*/) override {
    return std::make_unique<Channel>();
  }

 private:
  class Channel final : public NetChannel {
   public:
    SendResult Send(std::span<const iovec> /*frame*/) override { return SendResult::kSent; }
    void NotifyWritable(UniqueFunction<void()> /*on_writable*/) override {}
    int64_t Receive(std::span<const iovec> /*into*/) override { return 0; }
    void StartRx(UniqueFunction<void()> /*on_readable*/) override {}
    void StopRx() override {}
  };
  const std::string id_;
};

Result<std::shared_ptr<NetBackend>> FindBackend(DeviceHost& host, const std::string& id,
                                                const VirtioNetOptions& options) {
  if (options.netdev) {
    return host.ClaimNetBackend(*options.netdev, id);
  }
  Log(LogLevel::kWarning, "virtio-net-pci '{}' has no netdev=; it is not connected to anything", id);
  return std::make_shared<NoPeer>();
}

// What the kernel's half of a NIC cannot do is not offered, as QEMU: neither the rings' layouts nor mergeable
// buffers.
void ApplyVhost(NetBackend& backend, unsigned pairs, uint64_t* features, VirtioPciOptions* transport) {
  for (unsigned pair = 0; pair < pairs; ++pair) {
    const std::shared_ptr<VhostPair> vhost = backend.vhost(pair);
    if (!vhost) {
      continue;
    }
    const auto has = [&vhost](uint64_t feature) { return (vhost->features() & feature) != 0; };
    *features &= has(net::kFeatureMrgRxbuf) ? ~uint64_t{0} : ~net::kFeatureMrgRxbuf;
    transport->packed = transport->packed && has(virtio::kRingPacked);
    transport->queue_reset = transport->queue_reset && has(virtio::kRingReset);
    transport->event_idx = transport->event_idx && has(virtio::kEventIndex);
    transport->indirect_desc = transport->indirect_desc && has(virtio::kIndirectDesc);
    transport->notify_on_empty = transport->notify_on_empty && has(virtio::kNotifyOnEmpty);
  }
}

constexpr VirtioPciNames kNames = {
    {"virtio-net-pci", "virtio-net-pci-transitional", "virtio-net-pci-non-transitional"},
    "virtio-net",
    "network card"};

Result<std::unique_ptr<Device>> CreateNet(DeviceHost& host, const std::string& id,
                                          const VirtioNetOptions& parsed, std::string_view driver) {
  const std::shared_ptr<NetBackend> backend = TRY(FindBackend(host, id, parsed));
  NetDeviceConfig config;
  config.mac = TRY(ParseMac(parsed.mac ? *parsed.mac : host.DefaultMac()));
  config.features = NetFeatures(parsed, *backend);
  config.pairs = parsed.mq ? backend->queue_pairs() : 1;
  if (config.pairs > net::kMaxPairs) {
    return Fail(Errc::kInvalidArgument, "{}: {} queue pairs are too many; {} are possible", driver,
                config.pairs, net::kMaxPairs);
  }
  config.rx_queue_size = parsed.rx_queue_size;
  config.tx_queue_size = parsed.tx_queue_size;
  config.mtu = parsed.host_mtu;
  config.speed = static_cast<uint32_t>(parsed.speed);
  if (parsed.duplex) {
    config.duplex = *parsed.duplex == "full" ? net::kDuplexFull : net::kDuplexHalf;
  }
  VirtioPciOptions transport = parsed;
  ApplyVhost(*backend, config.pairs, &config.features, &transport);
  EventLoop* const loop = TRY(host.FindIoLoop({}));
  std::vector<std::unique_ptr<NetChannel>> channels;
  for (unsigned pair = 0; pair < config.pairs; ++pair) {
    channels.push_back(TRY(backend->OpenChannel(pair, *loop)));
  }
  auto device = std::make_unique<NetDevice>(config, *loop, backend, std::move(channels));
  VirtioPciSpec spec;
  spec.id = id;
  spec.driver = driver;
  spec.default_vectors =
      2 * config.pairs + 2;  // as QEMU: one per queue, the control queue, the configuration
  spec.bootindex = parsed.bootindex;
  spec.boot_path_end = "/ethernet-phy@0";
  return VirtioPciDevice::Create(host, spec, transport, std::move(device));
}

}  // namespace

Result<> Validate(const VirtioNetOptions& options) {
  TRY(Validate(static_cast<const VirtioPciOptions&>(options)));
  TRY(CheckQueueSize("rx_queue_size", options.rx_queue_size));
  TRY(CheckQueueSize("tx_queue_size", options.tx_queue_size));
  if (options.mac) {
    TRY(ParseMac(*options.mac));
  }
  if (options.host_mtu != 0 && options.host_mtu < kMinMtu) {
    return Fail(Errc::kInvalidArgument, "host_mtu={} is too small; {} is the least", options.host_mtu,
                kMinMtu);
  }
  if (options.speed < -1) {
    return Fail(Errc::kInvalidArgument, "speed={} is no speed; give Mbit/s, or -1 for unknown",
                options.speed);
  }
  if (options.duplex && *options.duplex != "half" && *options.duplex != "full") {
    return Fail(Errc::kInvalidArgument, "duplex={} is neither half nor full", *options.duplex);
  }
  if (options.tx && *options.tx != "bh") {
    return Fail(Errc::kUnsupported, "tx={} is not served; frames are always sent at once (tx=bh)",
                *options.tx);
  }
  if (options.acpi_index != 0) {
    return Fail(Errc::kUnsupported, "acpi-index={} is not served; leave it out", options.acpi_index);
  }
  if (options.rss || options.hash || options.guest_rsc_ext || options.failover) {
    return Fail(Errc::kUnsupported,
                "rss, hash, guest_rsc_ext and failover are not served; leave them out or off");
  }
  if (options.mq && !options.ctrl_vq) {
    return Fail(Errc::kInvalidArgument, "mq=on needs the control queue; drop ctrl_vq=off");
  }
  return {};
}

Result<net::Mac> ParseMac(const std::string& text) {
  net::Mac mac{};
  bool good = text.size() == 17;
  for (size_t i = 0; good && i < mac.size(); ++i) {
    const char* at = text.data() + 3 * i;
    const auto [end, failure] = std::from_chars(at, at + 2, mac[i], 16);
    good = failure == std::errc() && end == at + 2 && (i + 1 == mac.size() || at[2] == ':' || at[2] == '-');
  }
  if (!good) {
    return Fail(Errc::kInvalidArgument, "mac={} is no Ethernet address; write it as 52:54:00:12:34:56", text);
  }
  if ((mac[0] & 1) != 0) {
    return Fail(Errc::kInvalidArgument,
                "mac={} is a group address, which no card can have; make its first byte even", text);
  }
  return mac;
}

uint64_t NetFeatures(const VirtioNetOptions& o, const NetBackend& backend) {
  uint64_t features = net::kFeatureMac;
  const auto offer = [&features](bool wanted, uint64_t feature) { features |= wanted ? feature : 0; };
  offer(o.status, net::kFeatureStatus);
  offer(o.mrg_rxbuf, net::kFeatureMrgRxbuf);
  offer(o.host_mtu != 0, net::kFeatureMtu);
  offer(o.speed >= 0 || o.duplex.has_value(), net::kFeatureSpeedDuplex);
  // 5.1.3.1: what needs the control queue, and what needs checksums first.
  offer(o.ctrl_vq, net::kFeatureCtrlVq);
  offer(o.ctrl_vq && o.ctrl_rx, net::kFeatureCtrlRx);
  offer(o.ctrl_vq && o.ctrl_rx_extra, net::kFeatureCtrlRxExtra);
  offer(o.ctrl_vq && o.ctrl_vlan, net::kFeatureCtrlVlan);
  offer(o.ctrl_vq && o.ctrl_mac_addr, net::kFeatureCtrlMacAddr);
  offer(o.ctrl_vq && o.ctrl_guest_offloads, net::kFeatureCtrlGuestOffloads);
  offer(o.ctrl_vq && o.guest_announce, net::kFeatureGuestAnnounce);
  offer(o.mq, net::kFeatureMq);
  if (!backend.has_vnet_header()) {
    return features;
  }
  const NetOffloads can = backend.offloads();
  offer(o.csum, net::kFeatureCsum);
  offer(o.csum && o.gso, net::kFeatureGso);
  offer(o.csum && o.host_tso4, net::kFeatureHostTso4);
  offer(o.csum && o.host_tso6, net::kFeatureHostTso6);
  offer(o.csum && o.host_ecn && (o.host_tso4 || o.host_tso6), net::kFeatureHostEcn);
  offer(o.csum && o.host_ufo && can.ufo, net::kFeatureHostUfo);
  const bool guest_csum = o.guest_csum && can.csum;
  const bool guest_tso4 = guest_csum && o.guest_tso4 && can.tso4;
  const bool guest_tso6 = guest_csum && o.guest_tso6 && can.tso6;
  offer(guest_csum, net::kFeatureGuestCsum);
  offer(guest_tso4, net::kFeatureGuestTso4);
  offer(guest_tso6, net::kFeatureGuestTso6);
  offer((guest_tso4 || guest_tso6) && o.guest_ecn && can.ecn, net::kFeatureGuestEcn);
  offer(guest_csum && o.guest_ufo && can.ufo, net::kFeatureGuestUfo);
  return features;
}

const DeviceFactory& VirtioNetPciFactory(VirtioPciVariant variant) {
  return VirtioPciFactoryOf<kNames, VirtioNetOptions, CreateNet>(variant);
}

}  // namespace nandu

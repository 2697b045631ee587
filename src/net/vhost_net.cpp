#include "net/vhost_net.h"

#include <cerrno>
#include <fcntl.h>
#define VIRTIO_RING_NO_LEGACY  // the layout helpers of virtio_ring.h are no C++
#include <linux/vhost.h>
#include <sys/ioctl.h>
#include <vector>

namespace nandu {
namespace {

constexpr const char* kDevice = "/dev/vhost-net";
// Bits of the device that are no virtio features.
constexpr uint64_t kLogAll = 1ULL << VHOST_F_LOG_ALL;
constexpr uint64_t kOwnHeader = 1ULL << VHOST_NET_F_VIRTIO_NET_HDR;

uint64_t AddressOf(const void* host) { return reinterpret_cast<uintptr_t>(host); }

}  // namespace

Result<UniqueFd> VhostNet::OpenDevice(Opener& opener) { return opener.Open(kDevice, O_RDWR | O_NONBLOCK); }

template <class Argument>
Result<> VhostNet::Call(unsigned long request, Argument* argument, const char* name) const {
  if (::ioctl(device_.get(), request, argument) < 0) {
    return FailErrno(errno, "{} of vhost-net", name);
  }
  return {};
}

Result<std::shared_ptr<VhostNet>> VhostNet::Create(UniqueFd device, std::shared_ptr<UniqueFd> tap,
                                                   const VhostNetOptions& options) {
  const std::shared_ptr<VhostNet> made(new VhostNet(std::move(device), std::move(tap), options));
  TRY(made->Call(VHOST_SET_OWNER, static_cast<void*>(nullptr), "VHOST_SET_OWNER"));
  uint64_t offered = 0;
  TRY(made->Call(VHOST_GET_FEATURES, &offered, "VHOST_GET_FEATURES"));
  if (!options.tap_header && (offered & kOwnHeader) == 0) {
    return Fail(Errc::kUnsupported, "this vhost-net needs a tap with vnet_hdr=on");
  }
  made->features_ = offered & ~(kLogAll | kOwnHeader);
  for (unsigned ring = kRx; options.poll_us != 0 && ring <= kTx; ++ring) {
    vhost_vring_state poll{ring, options.poll_us};
    TRY(made->Call(VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &poll, "VHOST_SET_VRING_BUSYLOOP_TIMEOUT"));
  }
  return made;
}

Result<> VhostNet::SetFeatures(uint64_t accepted) {
  uint64_t features = (accepted & features_) | (options_.tap_header ? 0 : kOwnHeader);
  return Call(VHOST_SET_FEATURES, &features, "VHOST_SET_FEATURES");
}

Result<> VhostNet::SetMemory(std::span<const VhostRegion> regions) {
  // A header and as many regions as there are, in words so that they are aligned.
  static_assert(sizeof(vhost_memory) % sizeof(uint64_t) == 0);
  const size_t bytes = sizeof(vhost_memory) + regions.size() * sizeof(vhost_memory_region);
  std::vector<uint64_t> words(bytes / sizeof(uint64_t));
  auto* const table = reinterpret_cast<vhost_memory*>(words.data());
  table->nregions = static_cast<uint32_t>(regions.size());
  for (size_t i = 0; i < regions.size(); ++i) {
    table->regions[i] = {regions[i].guest, regions[i].bytes, AddressOf(regions[i].host), 0};
  }
  return Call(VHOST_SET_MEM_TABLE, table, "VHOST_SET_MEM_TABLE");
}

Result<> VhostNet::SetUpRing(unsigned ring, const VhostRing& at) const {
  vhost_vring_state size{ring, at.size};
  TRY(Call(VHOST_SET_VRING_NUM, &size, "VHOST_SET_VRING_NUM"));
  vhost_vring_state base{ring, at.next_avail};
  TRY(Call(VHOST_SET_VRING_BASE, &base, "VHOST_SET_VRING_BASE"));
  vhost_vring_addr addresses{};
  addresses.index = ring;
  addresses.desc_user_addr = AddressOf(at.descriptors);
  addresses.avail_user_addr = AddressOf(at.available);
  addresses.used_user_addr = AddressOf(at.used);
  TRY(Call(VHOST_SET_VRING_ADDR, &addresses, "VHOST_SET_VRING_ADDR"));
  vhost_vring_file call{ring, at.call_fd};
  TRY(Call(VHOST_SET_VRING_CALL, &call, "VHOST_SET_VRING_CALL"));
  vhost_vring_file kick{ring, at.kick_fd};
  return Call(VHOST_SET_VRING_KICK, &kick, "VHOST_SET_VRING_KICK");
}

Result<> VhostNet::StartRing(unsigned ring, const VhostRing& at) {
  Result<> started = SetUpRing(ring, at);
  if (started) {
    vhost_vring_file backend{ring, tap_->get()};
    started = Call(VHOST_NET_SET_BACKEND, &backend, "VHOST_NET_SET_BACKEND");
  }
  if (!started) {
    static_cast<void>(StopRing(ring));  // it lets go of the eventfds
  }
  return started;
}

Result<> VhostNet::SetCall(unsigned ring, int call_fd) {
  vhost_vring_file call{ring, call_fd};
  return Call(VHOST_SET_VRING_CALL, &call, "VHOST_SET_VRING_CALL");
}

Result<uint16_t> VhostNet::StopRing(unsigned ring) {
  // Without a backend it is polled no more, and what was in flight is over when this returns.
  vhost_vring_file none{ring, -1};
  TRY(Call(VHOST_NET_SET_BACKEND, &none, "VHOST_NET_SET_BACKEND"));
  TRY(Call(VHOST_SET_VRING_KICK, &none, "VHOST_SET_VRING_KICK"));
  TRY(Call(VHOST_SET_VRING_CALL, &none, "VHOST_SET_VRING_CALL"));
  vhost_vring_state base{ring, 0};
  TRY(Call(VHOST_GET_VRING_BASE, &base, "VHOST_GET_VRING_BASE"));
  return static_cast<uint16_t>(base.num);
}

}  // namespace nandu

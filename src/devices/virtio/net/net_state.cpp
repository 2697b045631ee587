// Bounds of a loaded state.
#include "devices/virtio/net/net_state.h"

namespace nandu {

Result<> CheckNetState(const NetState& state, uint64_t offered, unsigned max_pairs) {
  // The transport checks its own feature bits.
  constexpr uint64_t kTransportBits = (1ULL << 24) | (1ULL << 27) | (((1ULL << 14) - 1) << 28);
  if ((state.features & ~offered & ~kTransportBits) != 0) {
    return Fail(Errc::kCorrupt,
                "features: {:#x} were accepted but are not offered; give both sides the same device options",
                state.features & ~offered & ~kTransportBits);
  }
  if (state.active_pairs == 0 || state.active_pairs > max_pairs) {
    return Fail(Errc::kCorrupt, "active-pairs: {} is not in 1..{}; give both sides the same number of queues",
                state.active_pairs, max_pairs);
  }
  if ((state.guest_offloads & ~(state.features & net::kGuestOffloads)) != 0) {
    return Fail(Errc::kCorrupt, "guest-offloads: {:#x} is more than the driver accepted",
                state.guest_offloads);
  }
  if (state.unicast.size() > net::kMaxMacTable || state.multicast.size() > net::kMaxMacTable) {
    return Fail(Errc::kCorrupt, "unicast, multicast: more than {} addresses", net::kMaxMacTable);
  }
  return {};
}

}  // namespace nandu

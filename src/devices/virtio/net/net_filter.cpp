// The receive filter.
#include "devices/virtio/net/net_filter.h"

#include <algorithm>

namespace nandu {
namespace {

constexpr net::Mac kBroadcast = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr uint8_t kGroupBit = 1;  // of the first byte: IEEE 802, multicast
constexpr size_t kTypeOffset = 12;
constexpr unsigned kVlanTypeHigh = 0x81;  // IEEE 802.1Q
constexpr unsigned kVlanTypeLow = 0x00;

bool Contains(const std::vector<net::Mac>& table, const net::Mac& address) {
  return std::find(table.begin(), table.end(), address) != table.end();
}

bool VlanIsWanted(const NetState& state, std::span<const uint8_t> frame) {
  if ((state.features & net::kFeatureCtrlVlan) == 0 || frame.size() < kFilterBytes ||
      frame[kTypeOffset] != kVlanTypeHigh || frame[kTypeOffset + 1] != kVlanTypeLow) {
    return true;
  }
  const unsigned id = (unsigned{frame[14]} << 8 | frame[15]) & (net::kVlans - 1);
  return (std::to_integer<unsigned>(state.vlans[id / 8]) >> (id % 8) & 1) != 0;
}

}  // namespace

bool FrameIsWanted(const NetState& state, std::span<const uint8_t> frame) {
  if (state.promiscuous) {
    return true;
  }
  if (!VlanIsWanted(state, frame)) {
    return false;
  }
  net::Mac to;
  std::copy_n(frame.begin(), to.size(), to.begin());
  if (to == kBroadcast) {
    return !state.no_broadcast;
  }
  if ((to[0] & kGroupBit) != 0) {
    return !state.no_multicast &&
           (state.all_multicast || state.multicast_overflow || Contains(state.multicast, to));
  }
  return !state.no_unicast &&
         (state.all_unicast || state.unicast_overflow || to == state.mac || Contains(state.unicast, to));
}

}  // namespace nandu

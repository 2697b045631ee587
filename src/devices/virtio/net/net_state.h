// What a NIC remembers beside its rings: its address, receive filter, active pairs and offloads. Saved as it
// is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/described.h"
#include "base/result.h"
#include "devices/virtio/net/net_wire.h"

namespace nandu {

struct NetState {
  net::Mac mac{};
  uint64_t features = 0;  // what the driver accepted
  bool link_up = true;
  bool announce = false;  // the guest was asked to announce itself and has not acknowledged
  uint16_t active_pairs = 1;
  uint64_t guest_offloads = 0;  // what the guest receives now: a part of what it accepted

  // Receive filter (virtio 1.2, 5.1.6.5.1 and .2). A fresh device receives everything.
  bool promiscuous = true;
  bool all_multicast = false;
  bool all_unicast = false;
  bool no_multicast = false;
  bool no_unicast = false;
  bool no_broadcast = false;
  std::vector<net::Mac> unicast;
  std::vector<net::Mac> multicast;
  bool unicast_overflow = false;  // the guest named more than are kept: all are received
  bool multicast_overflow = false;
  std::array<std::byte, net::kVlans / 8> vlans{};  // one bit each; only looked at with CTRL_VLAN
};
BOOST_DESCRIBE_STRUCT(NetState, (),
                      (mac, features, link_up, announce, active_pairs, guest_offloads, promiscuous,
                       all_multicast, all_unicast, no_multicast, no_unicast, no_broadcast, unicast, multicast,
                       unicast_overflow, multicast_overflow, vlans))

// Every bound of a state that came from outside; `offered` and `max_pairs` are this device's.
Result<> CheckNetState(const NetState& state, uint64_t offered, unsigned max_pairs);

}  // namespace nandu

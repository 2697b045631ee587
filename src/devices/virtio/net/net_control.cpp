// One control command: copied, checked, applied.
#include "devices/virtio/net/net_control.h"

#include <algorithm>
#include <array>
#include <optional>

#include "devices/virtio/net/net_wire.h"

namespace nandu {
namespace {

constexpr NetControlResult kRefused = {net::kControlError, NetControlEffect::kNone};

NetControlResult Applied(NetControlEffect effect) { return {net::kControlOk, effect}; }

template <class T>
std::optional<T> Take(DescChain& chain) {
  T value{};
  if (!chain.ReadHeader(&value, sizeof(value))) {
    return std::nullopt;
  }
  return value;
}

NetControlResult HandleRx(DescChain& chain, uint8_t command, NetState* state) {
  const std::optional<uint8_t> on = Take<uint8_t>(chain);
  // 5.1.6.5.1: the first two with CTRL_RX, the others with CTRL_RX_EXTRA.
  const bool basic = command <= static_cast<uint8_t>(net::RxCommand::kAllMulti);
  const uint64_t needed = basic ? net::kFeatureCtrlRx : net::kFeatureCtrlRxExtra;
  if (!on || *on > 1 || (state->features & needed) == 0) {
    return kRefused;
  }
  switch (static_cast<net::RxCommand>(command)) {
    case net::RxCommand::kPromisc: state->promiscuous = *on != 0; break;
    case net::RxCommand::kAllMulti: state->all_multicast = *on != 0; break;
    case net::RxCommand::kAllUni: state->all_unicast = *on != 0; break;
    case net::RxCommand::kNoMulti: state->no_multicast = *on != 0; break;
    case net::RxCommand::kNoUni: state->no_unicast = *on != 0; break;
    case net::RxCommand::kNoBcast: state->no_broadcast = *on != 0; break;
    default: return kRefused;
  }
  return Applied(NetControlEffect::kFilter);
}

// One table of addresses: a count, then that many. More than are kept are read past.
bool TakeTable(DescChain& chain, std::vector<net::Mac>* table, bool* overflow) {
  const std::optional<uint32_t> entries = Take<uint32_t>(chain);
  if (!entries || *entries > chain.readable_bytes() / sizeof(net::Mac)) {
    return false;
  }
  *overflow = *entries > net::kMaxMacTable;
  table->clear();
  for (uint32_t i = 0; i < *entries; ++i) {
    const std::optional<net::Mac> address = Take<net::Mac>(chain);
    if (!address) {
      return false;
    }
    if (!*overflow) {
      table->push_back(*address);
    }
  }
  return true;
}

NetControlResult HandleMac(DescChain& chain, uint8_t command, NetState* state) {
  switch (static_cast<net::MacCommand>(command)) {
    case net::MacCommand::kTableSet: {
      NetState changed;
      if ((state->features & net::kFeatureCtrlRx) == 0 ||
          !TakeTable(chain, &changed.unicast, &changed.unicast_overflow) ||
          !TakeTable(chain, &changed.multicast, &changed.multicast_overflow) || chain.readable_bytes() != 0) {
        return kRefused;
      }
      state->unicast = std::move(changed.unicast);
      state->multicast = std::move(changed.multicast);
      state->unicast_overflow = changed.unicast_overflow;
      state->multicast_overflow = changed.multicast_overflow;
      return Applied(NetControlEffect::kFilter);
    }
    case net::MacCommand::kAddressSet: {
      const std::optional<net::Mac> address = Take<net::Mac>(chain);
      if ((state->features & net::kFeatureCtrlMacAddr) == 0 || !address) {
        return kRefused;
      }
      state->mac = *address;
      return Applied(NetControlEffect::kFilter);
    }
  }
  return kRefused;
}

NetControlResult HandleVlan(DescChain& chain, uint8_t command, NetState* state) {
  const std::optional<uint16_t> id = Take<uint16_t>(chain);
  if ((state->features & net::kFeatureCtrlVlan) == 0 || !id || *id >= net::kVlans) {
    return kRefused;
  }
  const std::byte bit = std::byte{1} << (*id % 8);
  switch (static_cast<net::VlanCommand>(command)) {
    case net::VlanCommand::kAdd: state->vlans[*id / 8] |= bit; break;
    case net::VlanCommand::kDelete: state->vlans[*id / 8] &= ~bit; break;
    default: return kRefused;
  }
  return Applied(NetControlEffect::kFilter);
}

NetControlResult HandleAnnounce(uint8_t command, NetState* state) {
  if ((state->features & net::kFeatureGuestAnnounce) == 0 || !state->announce ||
      static_cast<net::AnnounceCommand>(command) != net::AnnounceCommand::kAck) {
    return kRefused;
  }
  state->announce = false;
  return Applied(NetControlEffect::kNone);
}

NetControlResult HandleMq(DescChain& chain, uint8_t command, unsigned max_pairs, NetState* state) {
  const std::optional<uint16_t> pairs = Take<uint16_t>(chain);
  if ((state->features & net::kFeatureMq) == 0 ||
      static_cast<net::MqCommand>(command) != net::MqCommand::kPairsSet || !pairs || *pairs == 0 ||
      *pairs > max_pairs) {
    return kRefused;
  }
  state->active_pairs = *pairs;
  return Applied(NetControlEffect::kPairs);
}

NetControlResult HandleOffloads(DescChain& chain, uint8_t command, NetState* state) {
  const std::optional<uint64_t> offloads = Take<uint64_t>(chain);
  // 5.1.6.5.6.2: only what was negotiated may be turned on.
  if ((state->features & net::kFeatureCtrlGuestOffloads) == 0 ||
      static_cast<net::OffloadsCommand>(command) != net::OffloadsCommand::kSet || !offloads ||
      (*offloads & ~(state->features & net::kGuestOffloads)) != 0) {
    return kRefused;
  }
  state->guest_offloads = *offloads;
  return Applied(NetControlEffect::kOffloads);
}

}  // namespace

NetControlResult HandleNetControl(DescChain& chain, unsigned max_pairs, NetState* state) {
  if (chain.readable_bytes() > net::kMaxControlBytes) {
    return kRefused;
  }
  const std::optional<uint8_t> control_class = Take<uint8_t>(chain);
  const std::optional<uint8_t> command = Take<uint8_t>(chain);
  if (!control_class || !command) {
    return kRefused;
  }
  switch (static_cast<net::ControlClass>(*control_class)) {
    case net::ControlClass::kRx: return HandleRx(chain, *command, state);
    case net::ControlClass::kMac: return HandleMac(chain, *command, state);
    case net::ControlClass::kVlan: return HandleVlan(chain, *command, state);
    case net::ControlClass::kAnnounce: return HandleAnnounce(*command, state);
    case net::ControlClass::kMq: return HandleMq(chain, *command, max_pairs, state);
    case net::ControlClass::kOffloads: return HandleOffloads(chain, *command, state);
  }
  return kRefused;
}

}  // namespace nandu

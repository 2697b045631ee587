// Which frames a guest wants. virtio 1.2, 5.1.6.5.1 to 5.1.6.5.3. One I/O loop.
#pragma once

#include <cstdint>
#include <span>

#include "devices/virtio/net/net_state.h"

namespace nandu {

inline constexpr size_t kFilterBytes = 18;  // destination, source, type and a VLAN tag: all a filter looks at

// `frame`: from the destination address on, at least an Ethernet header, at most kFilterBytes of it.
bool FrameIsWanted(const NetState& state, std::span<const uint8_t> frame);

}  // namespace nandu

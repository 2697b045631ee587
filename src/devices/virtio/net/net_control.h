// The control queue's commands. virtio 1.2, 5.1.6.5. One I/O loop.
#pragma once

#include <cstdint>

#include "devices/virtio/desc_chain.h"
#include "devices/virtio/net/net_state.h"

namespace nandu {

// What a command asks for beyond a change of state.
enum class NetControlEffect : uint8_t { kNone, kFilter, kPairs, kOffloads };

struct NetControlResult {
  uint8_t ack = 0;  // net::kControlOk or kControlError
  NetControlEffect effect = NetControlEffect::kNone;
};

// Reads one command from the chain and applies it to `state`, which stays as it was when the answer is an
// error.
NetControlResult HandleNetControl(DescChain& chain, unsigned max_pairs, NetState* state);

}  // namespace nandu

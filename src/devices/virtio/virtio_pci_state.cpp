#include "devices/virtio/virtio_pci_state.h"

#include "base/checked.h"
#include "devices/virtio/ring_wire.h"
#include "devices/virtio/virtio_features.h"

namespace nandu {
namespace {

bool VectorFits(uint16_t vector, unsigned vectors) { return vector == virtio::kNoVector || vector < vectors; }

// Ring positions between what was used and what was popped; nullopt: the positions cannot be.
std::optional<uint32_t> InFlight(const VirtioQueueState& queue, bool packed) {
  const QueuePosition& at = queue.position;
  if (!packed) {
    return static_cast<uint16_t>(at.next_avail - at.next_used);
  }
  if (at.next_avail >= queue.config.size || at.next_used >= queue.config.size) {
    return std::nullopt;
  }
  const uint32_t ahead = at.next_avail + (at.avail_wrap == at.used_wrap ? 0U : queue.config.size);
  return ahead < at.next_used ? std::nullopt : std::optional<uint32_t>(ahead - at.next_used);
}

Result<> CheckQueue(const VirtioQueueState& queue, uint16_t max_size, bool packed,
                    const VirtioPciFacts& facts) {
  if (!VectorFits(queue.vector, facts.vectors)) {
    return Fail(Errc::kCorrupt, "interrupt vector {} of {}", queue.vector, facts.vectors);
  }
  if (queue.config.size > max_size) {
    return Fail(Errc::kCorrupt, "{} entries, at most {} here", queue.config.size, max_size);
  }
  if (!queue.enabled) {
    if (!queue.parked.empty() || queue.position != QueuePosition{}) {
      return Fail(Errc::kCorrupt, "requests of a queue that is not enabled");
    }
    return {};
  }
  if (queue.config.size == 0 || (!packed && !IsPowerOfTwo(queue.config.size))) {
    return Fail(Errc::kCorrupt, "{} entries is no size of a ring", queue.config.size);
  }
  const std::optional<uint32_t> in_flight = InFlight(queue, packed);
  uint64_t parked = 0;
  for (const ParkedChain& chain : queue.parked) {
    if (chain.head >= queue.config.size && !packed) {
      return Fail(Errc::kCorrupt, "a parked request at {} of {}", chain.head, queue.config.size);
    }
    if (chain.descriptors.empty() == packed) {
      return Fail(Errc::kCorrupt, "a parked request of the other ring format");
    }
    parked += packed ? chain.descriptors.size() : 1;
  }
  // A broken queue drops completions, so there the two may differ.
  const bool consistent = in_flight && *in_flight <= queue.config.size && parked <= queue.config.size &&
                          (queue.position.broken || *in_flight == parked);
  if (!consistent) {
    return Fail(Errc::kCorrupt, "{} parked positions do not fit where the ring stands", parked);
  }
  return {};
}

}  // namespace

Result<> CheckLoaded(const VirtioPciState& state, const VirtioPciFacts& facts) {
  if (!VectorFits(state.config_vector, facts.vectors)) {
    return Fail(Errc::kCorrupt, "configuration interrupt vector {} of {}", state.config_vector,
                facts.vectors);
  }
  if (state.features_accepted && (state.driver_features & ~facts.offered) != 0) {
    return Fail(
        Errc::kCorrupt,
        "the guest uses features {:#x} that are not offered here; start with the options of the source",
        state.driver_features & ~facts.offered);
  }
  if (state.queues.size() != facts.max_sizes.size()) {
    return Fail(Errc::kCorrupt, "{} queues, here {}", state.queues.size(), facts.max_sizes.size());
  }
  if (state.window.size() != 3) {
    return Fail(Errc::kCorrupt, "{} registers of the configuration window, not 3", state.window.size());
  }
  const bool packed = state.features_accepted && (state.driver_features & virtio::kRingPacked) != 0;
  for (size_t i = 0; i < state.queues.size(); ++i) {
    TRY(Prefix(CheckQueue(state.queues[i], facts.max_sizes[i], packed, facts), Format("queue {}", i)));
  }
  return {};
}

}  // namespace nandu

// What of the PCI transport survives a save: registers, negotiation, and where each queue stands. Saved and
// loaded while the device is quiesced. A loaded one is from a hostile stream: CheckLoaded has the rules.
#pragma once

#include <cstdint>
#include <vector>

#include "base/described.h"
#include "base/result.h"
#include "devices/virtio/virtqueue.h"

namespace nandu {

struct VirtioQueueState {
  QueueConfig config;
  bool enabled = false;
  uint16_t vector = 0xffff;
  QueuePosition position;
  std::vector<ParkedChain> parked;
  bool operator==(const VirtioQueueState&) const = default;
};
BOOST_DESCRIBE_STRUCT(VirtioQueueState, (), (config, enabled, vector, position, parked))

struct VirtioPciState {
  uint8_t status = 0;
  uint8_t isr = 0;
  uint8_t config_generation = 0;
  uint16_t config_vector = 0xffff;
  uint16_t queue_select = 0;
  uint32_t device_feature_select = 0;
  uint32_t driver_feature_select = 0;
  uint64_t driver_features = 0;  // as written
  bool features_accepted = false;
  bool legacy_driver = false;  // it set up a queue through the legacy interface
  bool failed = false;         // the device could not be started: not again before a reset
  std::vector<VirtioQueueState> queues;
  std::vector<uint32_t> window;  // of the PCI configuration access capability: BAR, offset, length
};
BOOST_DESCRIBE_STRUCT(VirtioPciState, (),
                      (status, isr, config_generation, config_vector, queue_select, device_feature_select,
                       driver_feature_select, driver_features, features_accepted, legacy_driver, failed,
                       queues, window))

// What the state is checked against.
struct VirtioPciFacts {
  uint64_t offered = 0;             // feature bits
  unsigned vectors = 0;             // MSI-X
  std::vector<uint16_t> max_sizes;  // one per queue
};
Result<> CheckLoaded(const VirtioPciState& state, const VirtioPciFacts& facts);

}  // namespace nandu

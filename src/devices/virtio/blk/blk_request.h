// One request of virtio-blk: how it is read and what it must be before the node sees it. virtio 1.2,
// section 5.2.6. The queue's loop only.
#pragma once

#include <cstdint>
#include <optional>

#include <nandu/block.h>

#include "devices/virtio/blk/blk_shared.h"
#include "devices/virtio/blk/blk_wire.h"
#include "devices/virtio/desc_chain.h"

namespace nandu {

class BlkQueue;

// Pooled by its queue; the I/O's own record is embedded, so that a request allocates nothing.
struct BlkRequest {
  BlockRequest io;
  BlkQueue* queue = nullptr;
  std::optional<DescChain> chain;
  std::byte* status = nullptr;  // where the status byte goes
  uint32_t slot = 0;            // among the queue's slots, which tell what is in flight
};

// What ParseBlkRequest found: to be submitted, or answered at once with a status.
struct BlkVerdict {
  bool submit = false;
  blk::Status status = blk::Status::kOk;
  uint32_t written = 0;  // bytes the answer itself put into the writable part
};

// Fills request.io from the chain, whose status byte was taken away already.
BlkVerdict ParseBlkRequest(BlkShared& shared, BlkRequest& request);

}  // namespace nandu

// What happened on one virtio-serial bus. Any thread.
#pragma once

#include "base/counter.h"

namespace nandu {

struct ConsoleCounters {
  Counter bytes_to_guest, bytes_to_host;
  Counter guest_has_no_buffers;  // times input had to wait for the guest
  Counter host_is_full;          // times output had to wait for the chardev
  Counter empty_buffers;         // chains with nothing to write to
  Counter control_messages;
  Counter bad_control_messages;  // too short, for no port, or an event a driver does not send
  Counter truncated_messages;    // the guest's buffer was too short
  Counter ignored_queues;        // queues the driver enabled that have no meaning with its features
  Counter ignored_config_writes;
};

}  // namespace nandu

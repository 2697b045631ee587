// What happened on one NIC. Any thread.
#pragma once

#include "base/counter.h"

namespace nandu {

struct NetCounters {
  Counter rx_frames, rx_bytes;
  Counter rx_filtered;     // not for this guest: its receive filter
  Counter rx_runt;         // shorter than an Ethernet header
  Counter rx_oversize;     // longer than the guest's buffer, or than all its buffers
  Counter rx_bad_buffers;  // chains too short for a header, or with nothing to write to
  Counter rx_no_buffers;   // times the guest's buffers ran out
  Counter rx_errors;       // the backend's
  Counter tx_frames, tx_bytes;
  Counter tx_busy;       // times the backend had no room
  Counter tx_dropped;    // by the backend
  Counter tx_malformed;  // chains too short for a header and a frame
  Counter tx_oversize;
  Counter tx_link_down;
  Counter control_commands;
  Counter control_refused;    // answered with an error
  Counter control_malformed;  // no command or no place for an answer
  Counter kernel_rings;       // handed to vhost
  Counter kernel_refusals;    // ... which did not take them: they are served here
  Counter ignored_queues;     // queues the driver enabled that have no meaning with its features
  Counter ignored_config_writes;
};

}  // namespace nandu

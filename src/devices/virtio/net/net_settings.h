// A NIC's state, shared by its two halves: the guest half shows it in configuration space and saves it, the
// control queue changes it. Any thread, under its own leaf mutex.
#pragma once

#include "base/thread_annotations.h"
#include "devices/virtio/net/net_state.h"

namespace nandu {

struct NetSettings {
  mutable Mutex mutex;
  NetState state NANDU_TA(guarded_by(mutex));

  NetState Copy() const {
    const MutexLock lock(mutex);
    return state;
  }
};

}  // namespace nandu

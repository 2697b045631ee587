// Byte ranges of a node in flight, over all its channels: a read-modify-write of a block has it alone, whole
// writes of it share it. First come, first served where ranges overlap, so that nobody starves. Any thread.
#pragma once

#include <cstdint>
#include <list>

#include "base/thread_annotations.h"
#include "loop/event_loop.h"

namespace nandu {

class RangeTracker {
 public:
  // Embedded in a request; in the tracker from Enter to Leave.
  struct Ticket {
    uint64_t begin = 0;
    uint64_t end = 0;
    bool exclusive = false;
    EventLoop* loop = nullptr;                // where `ready` runs
    void (*ready)(Ticket* ticket) = nullptr;  // when Enter answered false

   private:
    friend class RangeTracker;
    bool entered_ = false;
    std::list<Ticket*>::iterator place_;
  };

  // True: go ahead. False: `ready` runs later, on the ticket's loop.
  [[nodiscard]] bool Enter(Ticket* ticket);
  void Leave(Ticket* ticket);

 private:
  // Whether something that came before `ticket` is in its way.
  bool Blocked(const Ticket& ticket) const NANDU_TA(requires_capability(mutex_));

  Mutex mutex_;
  std::list<Ticket*> tickets_ NANDU_TA(guarded_by(mutex_));  // in the order they came
};

}  // namespace nandu

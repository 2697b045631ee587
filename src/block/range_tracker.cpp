#include "block/range_tracker.h"

#include <vector>

namespace nandu {

bool RangeTracker::Blocked(const Ticket& ticket) const {
  for (auto other = tickets_.begin(); other != ticket.place_; ++other) {
    const bool overlap = (*other)->begin < ticket.end && ticket.begin < (*other)->end;
    if (overlap && (ticket.exclusive || (*other)->exclusive)) {
      return true;
    }
  }
  return false;
}

bool RangeTracker::Enter(Ticket* ticket) {
  const MutexLock lock(mutex_);
  ticket->place_ = tickets_.insert(tickets_.end(), ticket);
  ticket->entered_ = !Blocked(*ticket);
  return ticket->entered_;
}

void RangeTracker::Leave(Ticket* ticket) {
  std::vector<Ticket*> freed;
  {
    const MutexLock lock(mutex_);
    tickets_.erase(ticket->place_);
    for (Ticket* waiting : tickets_) {
      if (!waiting->entered_ && !Blocked(*waiting)) {
        waiting->entered_ = true;
        freed.push_back(waiting);
      }
    }
  }
  for (Ticket* next : freed) {
    next->loop->Post([next] { next->ready(next); });
  }
}

}  // namespace nandu

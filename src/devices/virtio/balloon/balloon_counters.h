// What happened on one balloon. Any thread.
#pragma once

#include "base/counter.h"

namespace nandu {

struct BalloonCounters {
  Counter inflations, deflations, reports;  // requests
  Counter given_back_bytes;                 // what the host got
  Counter bad_pages;         // page numbers and ranges where there is no RAM, or that are read-only
  Counter kept_pages;        // good ones that stayed: part of a larger host page, or the host keeps them
  Counter poisoned_reports;  // the guest relies on what its free pages hold
  Counter odd_requests;      // without a page number, or with bytes left over
  Counter paused_requests;   // gone on with in another turn
  Counter stats;             // buffers of statistics
  Counter odd_stats;         // with bytes left over, or too long
  Counter unknown_stats;     // entries that have no name here
  Counter extra_stats;       // buffers brought before the last one was asked for
  Counter stray_requests;    // of a saved state, for queues that never leave one
  Counter ignored_config_writes;
};

}  // namespace nandu

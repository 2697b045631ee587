// Which APIC ID each vCPU has: as on real processors, every level of the topology takes a whole number of
// bits. Specification: Intel SDM volume 3, 9.9.3.2 ("Hierarchical mapping of CPUID extended topology leaf").
#pragma once

#include <cstdint>

namespace nandu {

struct CpuTopology {
  unsigned sockets = 1;
  unsigned dies = 1;     // per socket
  unsigned cores = 1;    // per die
  unsigned threads = 1;  // per core

  struct Place {
    unsigned socket = 0;
    unsigned die = 0;
    unsigned core = 0;
    unsigned thread = 0;
  };
  Place PlaceOf(unsigned index) const;
  uint32_t ApicId(unsigned index) const;

  // Where the field of a level begins in an APIC ID.
  unsigned CoreShift() const;
  unsigned DieShift() const;
  unsigned SocketShift() const;

  unsigned vcpus() const { return sockets * dies * cores * threads; }
};

}  // namespace nandu

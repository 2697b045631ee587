#include "vcpu/cpu_topology.h"

#include <bit>

namespace nandu {
namespace {
// Bits that hold `count` different values.
unsigned WidthOf(unsigned count) { return count <= 1 ? 0 : static_cast<unsigned>(std::bit_width(count - 1)); }
}  // namespace

unsigned CpuTopology::CoreShift() const { return WidthOf(threads); }
unsigned CpuTopology::DieShift() const { return CoreShift() + WidthOf(cores); }
unsigned CpuTopology::SocketShift() const { return DieShift() + WidthOf(dies); }

CpuTopology::Place CpuTopology::PlaceOf(unsigned index) const {
  Place place;
  place.thread = index % threads;
  place.core = index / threads % cores;
  place.die = index / threads / cores % dies;
  place.socket = index / threads / cores / dies;
  return place;
}

uint32_t CpuTopology::ApicId(unsigned index) const {
  const Place place = PlaceOf(index);
  return place.socket << SocketShift() | place.die << DieShift() | place.core << CoreShift() | place.thread;
}

}  // namespace nandu

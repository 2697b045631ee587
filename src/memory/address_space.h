// An address space: mappings with priorities, changed in transactions and published as flat views.
//
// A transaction takes the commit lock and every vCPU out of KVM_RUN (KVM cannot change a slot atomically), so
// it is rare: hotplug, BAR moves, bridge windows, reset. Any thread may begin one; a vCPU thread does so from
// an exit handler, which is outside KVM_RUN. Lookups are lock-free.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/counter.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "memory/flat_view.h"
#include "memory/region.h"

namespace nandu {

// Keeps every vCPU outside KVM_RUN between Enter and Leave. Implemented by the vCPU room; calls nest only
// through the commit lock.
class VcpuBarrier {
 public:
  VcpuBarrier() = default;
  VcpuBarrier(const VcpuBarrier&) = delete;
  VcpuBarrier& operator=(const VcpuBarrier&) = delete;
  virtual ~VcpuBarrier() = default;
  virtual void Enter() = 0;
  virtual void Leave() = 0;
};

class AddressSpace;
struct MappedRegion;

// What accesses came to nothing.
struct AccessCounters {
  Counter unassigned;  // bytes or whole accesses where nothing is mapped
  Counter rom_writes;  // writes to read-only RAM, dropped
};

// One mapped region. Unmaps when destroyed (a transaction of its own when none is open on this thread). Moves
// keep the mapping.
class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  explicit operator bool() const { return space_ != nullptr; }
  void SetEnabled(bool enabled);
  void Move(uint64_t base);         // where it does not fit the space, it is not mapped
  void SetReadonly(bool readonly);  // RAM only
  void SetRomMode(bool memory);     // ROM devices only: reads are of memory, or go to the handler as well
  void SetEvents(std::vector<IoEvent> events);

 private:
  friend class AddressSpace;
  Mapping(AddressSpace* space, uint64_t id) : space_(space), id_(id) {}
  void Drop();
  template <class Change>
  void Apply(Change change);
  AddressSpace* space_ = nullptr;
  uint64_t id_ = 0;
};

class AddressSpace {
 public:
  // `size`: addresses are below it (65536 for I/O ports; 2^64 - 1 stands for all of memory).
  AddressSpace(std::string name, uint64_t size);
  ~AddressSpace();
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

  const std::string& name() const { return name_; }

  // Higher priority wins where mappings overlap; at equal priority the later one. Fails when it does not fit
  // the space.
  Result<Mapping> Map(uint64_t base, Region region, int priority = 0, bool enabled = true);

  // Groups changes: publishes once, when the outermost transaction of this thread ends. One transaction
  // covers every address space, so changes of memory and I/O ports that belong together are published with
  // the vCPUs taken out once. Take no leaf mutex before it that a listener or a bridge update takes within
  // it.
  class Transaction {
   public:
    Transaction();
    explicit Transaction(AddressSpace& space);
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
  };

  void SetBarrier(VcpuBarrier* barrier);         // before the first vCPU runs
  void AddListener(FlatViewListener* listener);  // told of the current view at once
  void RemoveListener(FlatViewListener* listener);

  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  std::shared_ptr<const FlatView> view() const;

  // One access through the current view. Nothing there: reads all ones, writes vanish; both counted. An
  // access that crosses ranges is split bytewise. `size` is 1..8.
  uint64_t Read(uint64_t address, unsigned size);
  ExitDone Write(uint64_t address, unsigned size, uint64_t value);
  const Counter& unassigned() const { return counters_.unassigned; }
  const Counter& rom_writes() const { return counters_.rom_writes; }

 private:
  friend class Mapping;
  friend class CommitLock;
  friend class FlatViewCache;
  struct Impl;
  const std::string name_;
  const uint64_t size_;
  std::atomic<uint64_t> generation_{0};
  AccessCounters counters_;
  std::unique_ptr<Impl> impl_;
};

// One parked exit that is over when all of them are; done when there are none.
ExitDone ParkForAll(std::vector<std::shared_ptr<ParkedExit>> tokens);

// One access through `view`, as AddressSpace::Read and Write do it.
uint64_t ReadView(const FlatView& view, uint64_t address, unsigned size, AccessCounters& counters);
ExitDone WriteView(const FlatView& view, uint64_t address, unsigned size, uint64_t value,
                   AccessCounters& counters);

// A thread's cached view: one acquire load per access while nothing changes.
class FlatViewCache {
 public:
  explicit FlatViewCache(AddressSpace& space) : space_(space) {}
  const FlatView& Get() {
    if (const uint64_t now = space_.generation(); now != generation_ || !view_) [[unlikely]] {
      view_ = space_.view();
      generation_ = now;
    }
    return *view_;
  }
  uint64_t Read(uint64_t address, unsigned size);
  ExitDone Write(uint64_t address, unsigned size, uint64_t value);

 private:
  AddressSpace& space_;
  uint64_t generation_ = ~uint64_t{0};
  std::shared_ptr<const FlatView> view_;
};

}  // namespace nandu

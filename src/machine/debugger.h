// DebugFacet over the board: breakpoints in guest memory and in debug registers, single steps, and who runs.
//
// TakeDebugExit: the vCPU's thread. Everything else: control loop.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "base/thread_annotations.h"
#include "machine/debug_facet.h"
#include "machine/kvm_board.h"
#include "machine/lifecycle.h"

namespace nandu {

class Debugger final : public DebugFacet {
 public:
  Debugger(KvmBoard& board, Lifecycle& lifecycle) : board_(board), lifecycle_(lifecycle) {}

  // True: one of ours, and the guest is to stop for it.
  bool TakeDebugExit(unsigned cpu, const DebugExit& exit);
  // For the lifecycle: as the last Go said, or all.
  void ResumeVcpus();
  void OnStopped();  // the guest has come to a stand

  unsigned cpu_count() const override { return static_cast<unsigned>(board_.vcpus().size()); }
  bool stopped() const override { return !lifecycle_.running(); }
  Result<CpuRegisters> ReadRegisters(unsigned cpu) override;
  Result<> WriteRegisters(unsigned cpu, const CpuRegisters& registers) override;
  size_t ReadMemory(unsigned cpu, MemoryView view, uint64_t address, std::span<std::byte> out) override;
  size_t WriteMemory(unsigned cpu, MemoryView view, uint64_t address,
                     std::span<const std::byte> bytes) override;
  Result<> AddBreakpoint(unsigned cpu, const Breakpoint& breakpoint) override;
  Result<> RemoveBreakpoint(const Breakpoint& breakpoint) override;
  void RemoveAllBreakpoints() override;
  void Interrupt() override;
  void Go(std::vector<CpuAction> actions, UniqueFunction<void(Result<>)> done) override;
  void Kill() override { lifecycle_.Quit("host-ui"); }
  void SetStopObserver(UniqueFunction<void(const DebugStop&)> observer) override {
    observer_ = std::move(observer);
  }

 private:
  struct Patch {
    unsigned cpu = 0;  // by whose page tables it was made
    std::byte original{};
  };
  // Visits the pieces of a range that lie in one page each; ends where `visit` (guest-physical address,
  // offset, count) says no. How many bytes were visited.
  template <class Visit>
  size_t ForEachPage(unsigned cpu, MemoryView view, uint64_t address, size_t count, Visit visit) const;
  const GuestMemory& memory() const { return *board_.memory().view()->memory(); }
  Result<> ApplyTo(unsigned cpu, bool step);
  Result<> Unpatch(uint64_t address, const Patch& patch);

  KvmBoard& board_;
  Lifecycle& lifecycle_;
  UniqueFunction<void(const DebugStop&)> observer_;
  std::vector<CpuAction> actions_;  // of the last Go; empty: all go on
  Mutex mutex_;
  // Changed while the guest stands still, read by vCPUs that left it.
  std::map<uint64_t, Patch> patches_ NANDU_TA(guarded_by(mutex_));
  std::vector<HardwareBreakpoint> hardware_ NANDU_TA(guarded_by(mutex_));
  std::optional<unsigned> stepping_ NANDU_TA(guarded_by(mutex_));
  std::optional<DebugStop> stop_ NANDU_TA(guarded_by(mutex_));  // of the first vCPU that met one
};

}  // namespace nandu

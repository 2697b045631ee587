// What a debugger may do to a machine. Control loop, all of it; the guest stands still for everything but
// Interrupt, and memory and registers are those of a CPU (a vCPU's index).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_function.h"
#include "vcpu/debug_types.h"

namespace nandu {

enum class BreakpointKind : uint8_t { kSoftware, kHardware, kWrite, kAccess };
struct Breakpoint {
  BreakpointKind kind = BreakpointKind::kSoftware;
  uint64_t address = 0;  // virtual
  uint8_t bytes = 1;     // that are watched: 1, 2, 4 or 8
  bool operator==(const Breakpoint&) const = default;
};

// Why the guest stands still.
struct DebugStop {
  enum class Why : uint8_t { kPaused, kStepped, kBreakpoint, kFailed };
  Why why = Why::kPaused;
  unsigned cpu = 0;
  Breakpoint breakpoint;  // kBreakpoint: which one
};

enum class CpuAction : uint8_t { kStay, kContinue, kStep };
enum class MemoryView : uint8_t { kVirtual, kPhysical };

class DebugFacet {
 public:
  DebugFacet() = default;
  DebugFacet(const DebugFacet&) = delete;
  DebugFacet& operator=(const DebugFacet&) = delete;
  virtual ~DebugFacet() = default;

  virtual unsigned cpu_count() const = 0;
  virtual bool stopped() const = 0;
  virtual Result<CpuRegisters> ReadRegisters(unsigned cpu) = 0;
  virtual Result<> WriteRegisters(unsigned cpu, const CpuRegisters& registers) = 0;
  // How many bytes from `address` on could be read or written before the first that is not there. Software
  // breakpoints do not show.
  virtual size_t ReadMemory(unsigned cpu, MemoryView view, uint64_t address, std::span<std::byte> out) = 0;
  virtual size_t WriteMemory(unsigned cpu, MemoryView view, uint64_t address,
                             std::span<const std::byte> bytes) = 0;
  virtual Result<> AddBreakpoint(unsigned cpu, const Breakpoint& breakpoint) = 0;
  virtual Result<> RemoveBreakpoint(const Breakpoint& breakpoint) = 0;
  virtual void RemoveAllBreakpoints() = 0;

  // Stops the guest; the observer hears of it when it was running.
  virtual void Interrupt() = 0;
  // Runs the guest, each CPU as its action says. An error when it cannot run.
  virtual void Go(std::vector<CpuAction> actions, UniqueFunction<void(Result<>)> done) = 0;
  virtual void Kill() = 0;  // ends the VM
  // Each time the guest has come to a stand, whoever asked for it. Null ends it.
  virtual void SetStopObserver(UniqueFunction<void(const DebugStop&)> observer) = 0;
};

}  // namespace nandu

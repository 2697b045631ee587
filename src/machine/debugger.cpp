#include "machine/debugger.h"

#include <algorithm>
#include <bit>

#include "base/log.h"
#include "vcpu/debug.h"

namespace nandu {
namespace {

constexpr std::byte kInt3{0xcc};
constexpr uint64_t kPageBytes = 4096;

HardwareBreakpoint ToHardware(const Breakpoint& breakpoint) {
  HardwareBreakpoint out;
  out.address = breakpoint.address;
  out.bytes = breakpoint.bytes;
  switch (breakpoint.kind) {
    case BreakpointKind::kWrite: out.on = HardwareBreakpoint::On::kWrite; break;
    case BreakpointKind::kAccess: out.on = HardwareBreakpoint::On::kAccess; break;
    case BreakpointKind::kSoftware:
    case BreakpointKind::kHardware: out.bytes = 1; break;
  }
  return out;
}

Breakpoint FromHardware(const HardwareBreakpoint& hardware) {
  Breakpoint out;
  out.address = hardware.address;
  out.bytes = hardware.bytes;
  switch (hardware.on) {
    case HardwareBreakpoint::On::kExecute: out.kind = BreakpointKind::kHardware; break;
    case HardwareBreakpoint::On::kWrite: out.kind = BreakpointKind::kWrite; break;
    case HardwareBreakpoint::On::kAccess: out.kind = BreakpointKind::kAccess; break;
  }
  return out;
}

}  // namespace

bool Debugger::TakeDebugExit(unsigned cpu, const DebugExit& exit) {
  DebugStop stop{.why = DebugStop::Why::kBreakpoint, .cpu = cpu, .breakpoint = {}};
  const MutexLock lock(mutex_);
  if (exit.exception == DebugExit::kBreakpoint) {
    if (!patches_.contains(exit.pc)) {
      return false;
    }
    stop.breakpoint.address = exit.pc;
  } else {
    const bool stepped = (exit.dr6 & DebugExit::kSingleStep) != 0 && stepping_ == cpu;
    size_t slot = 0;
    while (slot < hardware_.size() && (exit.dr6 >> slot & 1) == 0) {
      ++slot;
    }
    if (slot < hardware_.size()) {
      stop.breakpoint = FromHardware(hardware_[slot]);
    } else if (stepped) {
      stop.why = DebugStop::Why::kStepped;
    } else {
      return false;
    }
  }
  if (!stop_) {
    stop_ = stop;
  }
  return true;
}

void Debugger::OnStopped() {
  DebugStop stop;
  {
    const MutexLock lock(mutex_);
    if (stop_) {
      stop = *stop_;
    }
    stop_.reset();
    stepping_.reset();
  }
  actions_.clear();
  if (observer_) {
    observer_(stop);
  }
}

void Debugger::ResumeVcpus() {
  VcpuSet& vcpus = board_.vcpus();
  for (unsigned cpu = 0; cpu < vcpus.size(); ++cpu) {
    if (cpu >= actions_.size() || actions_[cpu] != CpuAction::kStay) {
      vcpus.at(cpu).Resume();
    }
  }
}

Result<CpuRegisters> Debugger::ReadRegisters(unsigned cpu) {
  return ReadCpuRegisters(board_.vcpus().at(cpu).kvm());
}

Result<> Debugger::WriteRegisters(unsigned cpu, const CpuRegisters& registers) {
  Vcpu& vcpu = board_.vcpus().at(cpu);
  vcpu.RegistersChanged();
  return WriteCpuRegisters(vcpu.kvm(), registers);
}

template <class Visit>
size_t Debugger::ForEachPage(unsigned cpu, MemoryView view, uint64_t address, size_t count,
                             Visit visit) const {
  size_t done = 0;
  while (done < count) {
    const uint64_t at = address + done;
    const size_t piece = std::min<uint64_t>(count - done, kPageBytes - at % kPageBytes);
    const std::optional<uint64_t> physical =
        view == MemoryView::kPhysical ? at : TranslateVirtual(board_.vcpus().at(cpu).kvm(), at);
    if (!physical || !visit(Gpa{*physical}, done, piece)) {
      break;
    }
    done += piece;
  }
  return done;
}

size_t Debugger::ReadMemory(unsigned cpu, MemoryView view, uint64_t address, std::span<std::byte> out) {
  const size_t count = ForEachPage(cpu, view, address, out.size(), [&](Gpa at, size_t offset, size_t piece) {
    return memory().Read(at, &out[offset], piece);
  });
  if (view == MemoryView::kVirtual) {
    const MutexLock lock(mutex_);
    for (auto patch = patches_.lower_bound(address); patch != patches_.end(); ++patch) {
      if (patch->first - address >= count) {
        break;
      }
      out[patch->first - address] = patch->second.original;
    }
  }
  return count;
}

size_t Debugger::WriteMemory(unsigned cpu, MemoryView view, uint64_t address,
                             std::span<const std::byte> bytes) {
  return ForEachPage(cpu, view, address, bytes.size(), [&](Gpa at, size_t offset, size_t piece) {
    return memory().Write(at, &bytes[offset], piece);
  });
}

Result<> Debugger::AddBreakpoint(unsigned cpu, const Breakpoint& breakpoint) {
  if (breakpoint.kind == BreakpointKind::kSoftware) {
    Patch patch{.cpu = cpu};
    const MutexLock lock(mutex_);
    if (patches_.contains(breakpoint.address)) {
      return {};
    }
    const auto store = [&](Gpa at, size_t, size_t) {
      return memory().Read(at, &patch.original, 1) && memory().Write(at, &kInt3, 1);
    };
    if (ForEachPage(cpu, MemoryView::kVirtual, breakpoint.address, 1, store) == 0) {
      return Fail(Errc::kNotFound, "there is no memory that can be written at {:#x}", breakpoint.address);
    }
    patches_.emplace(breakpoint.address, patch);
    return {};
  }
  const HardwareBreakpoint hardware = ToHardware(breakpoint);
  if (!std::has_single_bit(hardware.bytes) || hardware.bytes > 8 || hardware.address % hardware.bytes != 0) {
    return Fail(Errc::kInvalidArgument, "the CPU watches 1, 2, 4 or 8 bytes that are aligned");
  }
  const MutexLock lock(mutex_);
  if (std::ranges::find(hardware_, hardware) != hardware_.end()) {
    return {};
  }
  if (hardware_.size() == kHardwareBreakpoints) {
    return Fail(Errc::kBusy, "the CPU has {} address registers, and all are in use", kHardwareBreakpoints);
  }
  hardware_.push_back(hardware);
  return {};
}

// The guest may have put something else there meanwhile; then that stays.
Result<> Debugger::Unpatch(uint64_t address, const Patch& patch) {
  const auto restore = [&](Gpa at, size_t, size_t) {
    std::byte now{};
    return memory().Read(at, &now, 1) && (now != kInt3 || memory().Write(at, &patch.original, 1));
  };
  if (ForEachPage(patch.cpu, MemoryView::kVirtual, address, 1, restore) == 0) {
    return Fail(Errc::kNotFound, "there is no memory at {:#x} any more", address);
  }
  return {};
}

Result<> Debugger::RemoveBreakpoint(const Breakpoint& breakpoint) {
  const MutexLock lock(mutex_);
  if (breakpoint.kind != BreakpointKind::kSoftware) {
    if (std::erase(hardware_, ToHardware(breakpoint)) == 0) {
      return Fail(Errc::kNotFound, "there is no such breakpoint at {:#x}", breakpoint.address);
    }
    return {};
  }
  const auto found = patches_.find(breakpoint.address);
  if (found == patches_.end()) {
    return Fail(Errc::kNotFound, "there is no breakpoint at {:#x}", breakpoint.address);
  }
  const Patch patch = found->second;
  patches_.erase(found);
  return Unpatch(breakpoint.address, patch);
}

void Debugger::RemoveAllBreakpoints() {
  {
    const MutexLock lock(mutex_);
    for (const auto& [address, patch] : patches_) {
      if (const Result<> restored = Unpatch(address, patch); !restored) {
        Log(LogLevel::kWarning, "gdb: a breakpoint stays: {}", restored.error().message);
      }
    }
    patches_.clear();
    hardware_.clear();
  }
  for (unsigned cpu = 0; cpu < cpu_count(); ++cpu) {
    if (const Result<> applied = ApplyTo(cpu, false); !applied) {
      Log(LogLevel::kWarning, "gdb: vCPU {} keeps its breakpoints: {}", cpu, applied.error().message);
    }
  }
}

Result<> Debugger::ApplyTo(unsigned cpu, bool step) {
  const MutexLock lock(mutex_);
  DebugControl control;
  control.software_breakpoints = !patches_.empty();
  control.single_step = step;
  control.hardware = hardware_;
  return SetGuestDebug(board_.vcpus().at(cpu).kvm(), control);
}

void Debugger::Interrupt() {
  lifecycle_.Stop(RunState::kPaused, [](Result<> stopped) {
    if (!stopped) {
      Log(LogLevel::kError, "gdb: cannot stop the guest: {}", stopped.error().message);
    }
  });
}

void Debugger::Go(std::vector<CpuAction> actions, UniqueFunction<void(Result<>)> done) {
  const auto step = std::ranges::find(actions, CpuAction::kStep);
  {
    const MutexLock lock(mutex_);
    stepping_ = step == actions.end()
                    ? std::nullopt
                    : std::optional<unsigned>(static_cast<unsigned>(step - actions.begin()));
  }
  for (unsigned cpu = 0; cpu < cpu_count(); ++cpu) {
    const bool steps = cpu < actions.size() && actions[cpu] == CpuAction::kStep;
    if (Result<> applied = ApplyTo(cpu, steps); !applied) {
      done(std::move(applied));
      return;
    }
  }
  actions_ = std::move(actions);
  lifecycle_.Cont(std::move(done));
}

}  // namespace nandu

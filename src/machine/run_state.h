// What QMP says a VM is doing: QEMU's run states by QEMU's names (QMP RunState of 7.2) and which may follow
// which. Plain values; any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/described.h"

namespace nandu {

enum class RunState : uint8_t {
  kDebug,
  kInmigrate,
  kInternalError,
  kIoError,
  kPaused,
  kPostmigrate,
  kPrelaunch,
  kFinishMigrate,
  kRestoreVm,
  kRunning,
  kSaveVm,
  kShutdown,
  kSuspended,
  kWatchdog,
  kGuestPanicked,
  kColo,
};
BOOST_DESCRIBE_ENUM(RunState, kDebug, kInmigrate, kInternalError, kIoError, kPaused, kPostmigrate, kPrelaunch,
                    kFinishMigrate, kRestoreVm, kRunning, kSaveVm, kShutdown, kSuspended, kWatchdog,
                    kGuestPanicked, kColo)
inline constexpr unsigned kRunStates = 16;

std::string_view RunStateName(RunState state);  // "io-error"
// A state may follow itself nowhere: setting what is set already is the caller's to skip.
bool CanTransition(RunState from, RunState to);
// The guest's own state is over: `cont` is refused until a reset.
bool NeedsReset(RunState state);

}  // namespace nandu

#include "machine/run_state.h"

namespace nandu {
namespace {

using enum RunState;

template <class... States>
constexpr uint16_t Set(States... states) {
  return static_cast<uint16_t>((0U | ... | (1U << static_cast<unsigned>(states))));
}

// Which states may follow each; the behaviour of QEMU 7.2, whose managers act on these names. A reset of a VM
// that does not run leads to prelaunch from nearly everywhere, an outgoing migration to finish-migrate.
constexpr uint16_t FollowersOf(RunState state) {
  switch (state) {
    case kDebug: return Set(kRunning, kSuspended, kFinishMigrate, kPrelaunch);
    case kInmigrate:
      return Set(kRunning, kPaused, kPrelaunch, kInternalError, kIoError, kShutdown, kSuspended, kWatchdog,
                 kGuestPanicked, kFinishMigrate, kPostmigrate, kColo);
    case kInternalError: return Set(kPaused, kFinishMigrate, kPrelaunch);
    case kIoError: return Set(kRunning, kFinishMigrate, kPrelaunch);
    case kPaused: return Set(kRunning, kFinishMigrate, kPostmigrate, kPrelaunch, kColo);
    case kPostmigrate: return Set(kRunning, kFinishMigrate, kPrelaunch);
    case kPrelaunch: return Set(kRunning, kFinishMigrate, kInmigrate);
    case kFinishMigrate: return Set(kRunning, kPaused, kPostmigrate, kPrelaunch, kColo);
    case kRestoreVm: return Set(kRunning, kPrelaunch);
    case kRunning:
      return Set(kDebug, kInternalError, kIoError, kPaused, kFinishMigrate, kRestoreVm, kSaveVm, kShutdown,
                 kWatchdog, kGuestPanicked, kSuspended, kColo);
    case kSaveVm: return Set(kRunning);
    case kShutdown: return Set(kPaused, kFinishMigrate, kPrelaunch, kColo);
    case kSuspended: return Set(kRunning, kFinishMigrate, kPrelaunch, kColo);
    case kWatchdog: return Set(kRunning, kFinishMigrate, kPrelaunch, kColo);
    case kGuestPanicked: return Set(kRunning, kFinishMigrate, kPrelaunch);
    case kColo: return Set(kRunning, kPrelaunch, kShutdown);
  }
  return 0;
}

}  // namespace

std::string_view RunStateName(RunState state) { return EnumText(state); }

bool CanTransition(RunState from, RunState to) { return (FollowersOf(from) & Set(to)) != 0; }

bool NeedsReset(RunState state) { return state == kInternalError || state == kShutdown; }

}  // namespace nandu

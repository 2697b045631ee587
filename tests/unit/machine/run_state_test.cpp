#include "machine/run_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace nandu::testing {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Followers(std::string_view from) {
  const TypeInfo& states = TypeOf<RunState>();
  std::vector<std::string> names;
  for (const EnumeratorInfo& to : states.enumerators) {
    const EnumeratorInfo* start = FindEnumerator(states, from);
    if (start != nullptr &&
        CanTransition(static_cast<RunState>(start->value), static_cast<RunState>(to.value))) {
      names.push_back(to.wire);
    }
  }
  return names;
}

TEST(RunState, NamesAreQemus) {
  std::vector<std::string> names;
  for (const EnumeratorInfo& state : TypeOf<RunState>().enumerators) {
    names.push_back(state.wire);
  }
  EXPECT_THAT(names, ElementsAre("debug", "inmigrate", "internal-error", "io-error", "paused", "postmigrate",
                                 "prelaunch", "finish-migrate", "restore-vm", "running", "save-vm",
                                 "shutdown", "suspended", "watchdog", "guest-panicked", "colo"));
  EXPECT_EQ(names.size(), kRunStates);
  EXPECT_EQ(RunStateName(RunState::kGuestPanicked), "guest-panicked");
}

// One row each; followers in the enum's order.
TEST(RunState, AfterDebug) {
  EXPECT_THAT(Followers("debug"), ElementsAre("prelaunch", "finish-migrate", "running", "suspended"));
}
TEST(RunState, AfterInmigrate) {
  EXPECT_THAT(Followers("inmigrate"), ElementsAre("internal-error", "io-error", "paused", "postmigrate",
                                                  "prelaunch", "finish-migrate", "running", "shutdown",
                                                  "suspended", "watchdog", "guest-panicked", "colo"));
}
TEST(RunState, AfterInternalError) {
  EXPECT_THAT(Followers("internal-error"), ElementsAre("paused", "prelaunch", "finish-migrate"));
}
TEST(RunState, AfterIoError) {
  EXPECT_THAT(Followers("io-error"), ElementsAre("prelaunch", "finish-migrate", "running"));
}
TEST(RunState, AfterPaused) {
  EXPECT_THAT(Followers("paused"),
              ElementsAre("postmigrate", "prelaunch", "finish-migrate", "running", "colo"));
}
TEST(RunState, AfterPostmigrate) {
  EXPECT_THAT(Followers("postmigrate"), ElementsAre("prelaunch", "finish-migrate", "running"));
}
TEST(RunState, AfterPrelaunch) {
  EXPECT_THAT(Followers("prelaunch"), ElementsAre("inmigrate", "finish-migrate", "running"));
}
TEST(RunState, AfterFinishMigrate) {
  EXPECT_THAT(Followers("finish-migrate"),
              ElementsAre("paused", "postmigrate", "prelaunch", "running", "colo"));
}
TEST(RunState, AfterRestoreVm) { EXPECT_THAT(Followers("restore-vm"), ElementsAre("prelaunch", "running")); }
TEST(RunState, AfterRunning) {
  EXPECT_THAT(Followers("running"),
              ElementsAre("debug", "internal-error", "io-error", "paused", "finish-migrate", "restore-vm",
                          "save-vm", "shutdown", "suspended", "watchdog", "guest-panicked", "colo"));
}
TEST(RunState, AfterSaveVm) { EXPECT_THAT(Followers("save-vm"), ElementsAre("running")); }
TEST(RunState, AfterShutdown) {
  EXPECT_THAT(Followers("shutdown"), ElementsAre("paused", "prelaunch", "finish-migrate", "colo"));
}
TEST(RunState, AfterSuspended) {
  EXPECT_THAT(Followers("suspended"), ElementsAre("prelaunch", "finish-migrate", "running", "colo"));
}
TEST(RunState, AfterWatchdog) {
  EXPECT_THAT(Followers("watchdog"), ElementsAre("prelaunch", "finish-migrate", "running", "colo"));
}
TEST(RunState, AfterGuestPanicked) {
  EXPECT_THAT(Followers("guest-panicked"), ElementsAre("prelaunch", "finish-migrate", "running"));
}
TEST(RunState, AfterColo) { EXPECT_THAT(Followers("colo"), ElementsAre("prelaunch", "running", "shutdown")); }

TEST(RunState, OnlyAResetEndsInternalErrorAndShutdown) {
  std::vector<std::string> names;
  for (const EnumeratorInfo& state : TypeOf<RunState>().enumerators) {
    if (NeedsReset(static_cast<RunState>(state.value))) {
      names.push_back(state.wire);
    }
  }
  EXPECT_THAT(names, ElementsAre("internal-error", "shutdown"));
}

}  // namespace
}  // namespace nandu::testing

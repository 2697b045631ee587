#include "base/trace.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sstream>

namespace nandu {
namespace {

using testing::HasSubstr;

class Trace : public testing::Test {
 protected:
  Trace() { EXPECT_TRUE(SetTraceFile(path_).has_value()); }
  ~Trace() override {
    EnableTrace("-*");
    std::remove(path_.c_str());
  }
  std::string Written() const {
    std::stringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }
  const std::string path_ = testing::TempDir() + "nandu-trace-test";
};

TEST_F(Trace, OnlyWhatWasAskedForIsWritten) {
  nandu::Trace(TraceEvent::kRunState, "{} -> {}", "a", "b");
  EXPECT_EQ(Written(), "");
  EXPECT_TRUE(EnableTrace("run_state"));
  nandu::Trace(TraceEvent::kRunState, "{} -> {}", "b", "c");
  nandu::Trace(TraceEvent::kQmpCommand, "stop");
  EXPECT_EQ(Written(), "run_state b -> c\n");
}

TEST_F(Trace, PatternsTurnEventsOnAndOff) {
  EXPECT_TRUE(EnableTrace("vcpus_*"));
  EXPECT_TRUE(TraceEnabled(TraceEvent::kVcpusPause));
  EXPECT_TRUE(TraceEnabled(TraceEvent::kVcpusResume));
  EXPECT_FALSE(TraceEnabled(TraceEvent::kRunState));
  EXPECT_TRUE(EnableTrace("-vcpus_pause"));
  EXPECT_FALSE(TraceEnabled(TraceEvent::kVcpusPause));
  EXPECT_FALSE(EnableTrace("no_such_event"));
}

TEST_F(Trace, FileOfPatternsIsRead) {
  const std::string events = testing::TempDir() + "nandu-trace-events";
  std::ofstream(events) << "# what matters\nqmp_*\n\nnonsense\n";
  std::string unknown;
  ASSERT_TRUE(EnableTraceFile(events, &unknown).has_value());
  EXPECT_TRUE(TraceEnabled(TraceEvent::kQmpCommand));
  EXPECT_EQ(unknown, "nonsense");
  std::remove(events.c_str());
  const Result<> absent = EnableTraceFile(events, &unknown);
  ASSERT_FALSE(absent.has_value());
  EXPECT_THAT(absent.error().message, HasSubstr("No such file"));
}

TEST_F(Trace, EveryEventHasItsName) {
  for (const std::string_view name : TraceNames()) {
    EXPECT_FALSE(name.empty());
  }
}

}  // namespace
}  // namespace nandu

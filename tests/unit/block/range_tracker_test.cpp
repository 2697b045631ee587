#include "block/range_tracker.h"

#include <gtest/gtest.h>
#include <string>

#include "support/manual_loop.h"

namespace nandu {
namespace {

class RangeTrackerTest : public testing::Test {
 protected:
  struct Ticket : RangeTracker::Ticket {
    Ticket(ManualLoop& on, uint64_t from, uint64_t to, bool alone) {
      begin = from;
      end = to;
      exclusive = alone;
      loop = &on;
      ready = [](RangeTracker::Ticket* self) { static_cast<Ticket*>(self)->called = true; };
    }
    bool called = false;
  };

  ManualLoop loop_;
  RangeTracker ranges_;
};

TEST_F(RangeTrackerTest, SharedOverlapsGoTogether) {
  Ticket a(loop_, 0, 8192, false);
  Ticket b(loop_, 4096, 12288, false);
  EXPECT_TRUE(ranges_.Enter(&a));
  EXPECT_TRUE(ranges_.Enter(&b));
}

TEST_F(RangeTrackerTest, ExclusiveWaitsForOverlaps) {
  Ticket a(loop_, 0, 8192, false);
  Ticket b(loop_, 4096, 8192, true);
  EXPECT_TRUE(ranges_.Enter(&a));
  EXPECT_FALSE(ranges_.Enter(&b));

  ranges_.Leave(&a);
  EXPECT_FALSE(b.called) << "never from within Leave";
  loop_.RunUntilIdle();

  EXPECT_TRUE(b.called);
}

TEST_F(RangeTrackerTest, NeighboursDoNotWait) {
  Ticket a(loop_, 0, 4096, true);
  Ticket b(loop_, 4096, 8192, true);
  EXPECT_TRUE(ranges_.Enter(&a));
  EXPECT_TRUE(ranges_.Enter(&b));
}

TEST_F(RangeTrackerTest, FirstComeFirstServed) {
  Ticket a(loop_, 0, 4096, false);
  Ticket waiting(loop_, 0, 4096, true);
  Ticket late(loop_, 0, 4096, false);
  EXPECT_TRUE(ranges_.Enter(&a));
  EXPECT_FALSE(ranges_.Enter(&waiting));
  EXPECT_FALSE(ranges_.Enter(&late)) << "must not overtake the one that waits for the range alone";

  ranges_.Leave(&a);
  loop_.RunUntilIdle();
  EXPECT_TRUE(waiting.called);
  EXPECT_FALSE(late.called);
  ranges_.Leave(&waiting);
  loop_.RunUntilIdle();

  EXPECT_TRUE(late.called);
}

}  // namespace
}  // namespace nandu

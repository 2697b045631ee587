#include "vcpu/nmi.h"

#include <gtest/gtest.h>

namespace nandu {
namespace {

// SDM volume 3, figure 11-8.
TEST(ExternalNmi, ArrivesWhereLint1DeliversNmis) {
  EXPECT_TRUE(DeliversNmi(0x400));
  EXPECT_TRUE(DeliversNmi(0x4ff)) << "the vector means nothing";
  EXPECT_FALSE(DeliversNmi(0x10400)) << "masked";
  EXPECT_FALSE(DeliversNmi(0x10000)) << "as after a reset";
  EXPECT_FALSE(DeliversNmi(0x700)) << "an external interrupt";
  EXPECT_FALSE(DeliversNmi(0x0ff)) << "a fixed one";
}

}  // namespace
}  // namespace nandu

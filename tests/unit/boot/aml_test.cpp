#include "boot/aml.h"

#include <gtest/gtest.h>

namespace nandu {
namespace {

using Bytes = std::vector<uint8_t>;

TEST(Aml, IntegersTakeTheShortestForm) {
  EXPECT_EQ(aml::Integer(0).bytes(), (Bytes{0x00}));
  EXPECT_EQ(aml::Integer(1).bytes(), (Bytes{0x01}));
  EXPECT_EQ(aml::Integer(0xff).bytes(), (Bytes{0x0a, 0xff}));
  EXPECT_EQ(aml::Integer(0x100).bytes(), (Bytes{0x0b, 0x00, 0x01}));
  EXPECT_EQ(aml::Integer(0x10000).bytes(), (Bytes{0x0c, 0, 0, 1, 0}));
  EXPECT_EQ(aml::Integer(0x100000000).bytes(), (Bytes{0x0e, 0, 0, 0, 0, 1, 0, 0, 0}));
}

TEST(Aml, PathsArePaddedAndPrefixed) {
  EXPECT_EQ(aml::Path("RTC").bytes(), (Bytes{'R', 'T', 'C', '_'}));
  EXPECT_EQ(aml::Path("\\_SB").bytes(), (Bytes{'\\', '_', 'S', 'B', '_'}));
  EXPECT_EQ(aml::Path("^A.B").bytes(), (Bytes{'^', 0x2e, 'A', '_', '_', '_', 'B', '_', '_', '_'}));
  EXPECT_EQ(aml::Path("\\A.B.C").bytes(),
            (Bytes{'\\', 0x2f, 3, 'A', '_', '_', '_', 'B', '_', '_', '_', 'C', '_', '_', '_'}));
}

TEST(Aml, EisaIdIsCompressed) {
  EXPECT_EQ(aml::EisaId("PNP0A03").bytes(), (Bytes{0x0c, 0x41, 0xd0, 0x0a, 0x03}));
}

TEST(Aml, UuidSwapsItsFirstThreeFields) {
  const Bytes buffer = aml::Uuid("33db4d5b-1ff7-401c-9657-7441c03dd766").bytes();
  EXPECT_EQ(Bytes(buffer.begin() + 4, buffer.end()), (Bytes{0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f, 0x1c, 0x40,
                                                            0x96, 0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66}));
}

// 63 bytes is the longest package with a length of one byte, counting itself.
TEST(Aml, PackageLengthCountsItself) {
  const Bytes longest = aml::Scope("ABCD", aml::Code::FromBytes(Bytes(58, 0xa3))).bytes();
  EXPECT_EQ(longest[1], 0x3f);
  EXPECT_EQ(longest.size(), 64u);
  const Bytes next = aml::Scope("ABCD", aml::Code::FromBytes(Bytes(59, 0xa3))).bytes();
  EXPECT_EQ(next[1], 0x41);
  EXPECT_EQ(next[2], 0x04);
  EXPECT_EQ(next.size(), 66u);
}

TEST(Aml, PackageLengthOfThreeBytes) {
  const Bytes code = aml::Scope("ABCD", aml::Code::FromBytes(Bytes(0x1000, 0xa3))).bytes();
  const size_t length = (code[1] & 0xfu) | size_t{code[2]} << 4 | size_t{code[3]} << 12;
  EXPECT_EQ(code[1] >> 6, 2);
  EXPECT_EQ(length, code.size() - 1);
}

TEST(Aml, ResourceTemplateEndsInATag) {
  EXPECT_EQ(aml::ResourceTemplate(aml::IrqNoFlags(8)).bytes(),
            (Bytes{0x11, 0x08, 0x0a, 0x05, 0x22, 0x00, 0x01, 0x79, 0x00}));
}

}  // namespace
}  // namespace nandu

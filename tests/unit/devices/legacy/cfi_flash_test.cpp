// The flash chip as OVMF and Linux drive it: commands, what reads answer, and what a wrong sequence does.
#include "devices/legacy/cfi_flash.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nandu {
namespace {

using testing::Each;

struct CfiFlashTest : testing::Test {
  std::vector<std::byte> bytes = std::vector<std::byte>(16 * CfiFlash::kBlockBytes, std::byte{0x5a});
  CfiFlash chip{bytes, CfiFlash::Writes::kStay};
};

TEST_F(CfiFlashTest, OvmfKnowsItForAFlash) {
  chip.Write(0x10, 1, 0x50);  // clear status
  EXPECT_EQ(chip.Read(0x10, 1), 0x5au);
  chip.Write(0x10, 1, 0x70);  // read status
  EXPECT_EQ(chip.Read(0x10, 1), 0u);
  chip.Write(0x10, 1, 0xff);
  EXPECT_EQ(chip.Read(0x10, 1), 0x5au);
  EXPECT_TRUE(chip.is_memory());
}

TEST_F(CfiFlashTest, AByteIsProgrammedAndTheArrayComesBackOnDemand) {
  EXPECT_FALSE(chip.Write(0x20, 1, 0x10).changed);
  const CfiFlash::Outcome outcome = chip.Write(0x20, 1, 0x77);
  ASSERT_TRUE(outcome.changed);
  EXPECT_EQ(outcome.changed->offset, 0x20u);
  EXPECT_EQ(outcome.changed->bytes, 1u);
  EXPECT_FALSE(outcome.settled);
  EXPECT_FALSE(chip.is_memory());
  EXPECT_EQ(chip.Read(0, 1), 0x80u);  // ready, no error
  EXPECT_TRUE(chip.Write(0x20, 1, 0xff).settled);
  EXPECT_EQ(chip.Read(0x20, 1), 0x77u);
}

TEST_F(CfiFlashTest, ABlockIsErasedOnceItIsConfirmed) {
  EXPECT_FALSE(chip.Write(0x1234, 1, 0x20).changed);
  EXPECT_EQ(bytes[0x1234], std::byte{0x5a});
  const CfiFlash::Outcome outcome = chip.Write(0x1234, 1, 0xd0);
  EXPECT_TRUE(outcome.settled);
  EXPECT_EQ(outcome.changed->offset, 0x1000u);
  EXPECT_THAT(std::span(bytes).subspan(0x1000, CfiFlash::kBlockBytes), Each(std::byte{0xff}));
  EXPECT_EQ(bytes[0xfff], std::byte{0x5a});
  EXPECT_EQ(bytes[0x2000], std::byte{0x5a});
}

TEST_F(CfiFlashTest, AnErasureThatIsNotConfirmedChangesNothing) {
  chip.Write(0x1000, 1, 0x20);
  chip.Write(0x1000, 1, 0x42);
  EXPECT_EQ(chip.Read(0, 1), 0xb0u);  // a wrong sequence: both error bits
  EXPECT_EQ(bytes[0x1000], std::byte{0x5a});
}

TEST_F(CfiFlashTest, ABufferIsWrittenAtOnce) {
  chip.Write(0x100, 1, 0xe8);
  chip.Write(0x100, 1, 3);  // four bytes
  chip.Write(0x100, 2, 0x2211);
  chip.Write(0x102, 2, 0x4433);
  EXPECT_EQ(bytes[0x100], std::byte{0x5a});
  const CfiFlash::Outcome outcome = chip.Write(0x100, 1, 0xd0);
  EXPECT_TRUE(outcome.settled);
  EXPECT_EQ(outcome.changed->bytes, 4u);
  EXPECT_EQ(bytes[0x100], std::byte{0x11});
  EXPECT_EQ(bytes[0x103], std::byte{0x44});
  EXPECT_EQ(bytes[0x104], std::byte{0x5a});
}

TEST_F(CfiFlashTest, ABufferOutOfOrderOrTooLargeIsAnError) {
  chip.Write(0x100, 1, 0xe8);
  chip.Write(0x100, 1, 3);
  chip.Write(0x100, 1, 1);
  chip.Write(0x105, 1, 2);
  EXPECT_EQ(chip.Read(0, 1), 0x90u);
  chip.Write(0, 1, 0xff);
  chip.Write(0x100, 1, 0xe8);
  chip.Write(0x100, 2, 0xffff);
  EXPECT_EQ(chip.Read(0, 1) & 0x10, 0x10u);
  EXPECT_THAT(bytes, Each(std::byte{0x5a}));
}

TEST_F(CfiFlashTest, AReadOnlyChipSaysSo) {
  CfiFlash locked(bytes, CfiFlash::Writes::kRefused);
  locked.Write(0, 1, 0x40);
  EXPECT_FALSE(locked.Write(0, 1, 0).changed);
  EXPECT_EQ(locked.Read(0, 1), 0x90u);
  locked.Write(0, 1, 0x50);
  locked.Write(0, 1, 0x20);
  EXPECT_FALSE(locked.Write(0, 1, 0xd0).changed);
  EXPECT_EQ(locked.Read(0, 1), 0xa0u);
  EXPECT_THAT(bytes, Each(std::byte{0x5a}));
}

TEST_F(CfiFlashTest, TheQueryTableSaysWhatItIs) {
  chip.Write(0x55, 1, 0x98);
  EXPECT_EQ(chip.Read(0x10, 1), uint64_t{'Q'});
  EXPECT_EQ(chip.Read(0x11, 2), uint64_t{'Y'} << 8 | 'R');
  EXPECT_EQ(chip.Read(0x13, 1), 1u);   // Intel's extended commands
  EXPECT_EQ(chip.Read(0x27, 1), 16u);  // 64 KiB
  EXPECT_EQ(chip.Read(0x2d, 1), 15u);  // sixteen blocks
  EXPECT_EQ(chip.Read(0x2f, 2), 16u);  // of sixteen times 256 bytes
  EXPECT_EQ(chip.Read(0xfff8, 8), 0u);
}

TEST_F(CfiFlashTest, WhatIsLoadedFits) {
  CfiFlashState state;
  state.mode = CfiMode::kBufferConfirm;
  state.buffer_offset = bytes.size() - 1;
  state.buffer.resize(2);
  EXPECT_FALSE(chip.Load(state));
  state.buffer_offset--;
  EXPECT_TRUE(chip.Load(state));
  state.erase_block = 16;
  EXPECT_FALSE(chip.Load(state));
}

}  // namespace
}  // namespace nandu

// The Bochs VBE registers. The answers are those that QEMU 7.2's card gives to the same writes.
#include "devices/display/vbe.h"

#include <gtest/gtest.h>

namespace nandu {
namespace {

constexpr uint64_t kMemory = 16 << 20;

struct Card {
  VbeState state;
  VbeWritten Write(unsigned index, uint16_t value) { return WriteVbe(&state, index, value, kMemory); }
  uint16_t Read(unsigned index) const { return ReadVbe(state, index, kMemory); }
  void SetMode(uint16_t width, uint16_t height, uint16_t bpp) {
    Write(vbe::kEnable, 0);
    Write(vbe::kXres, width);
    Write(vbe::kYres, height);
    Write(vbe::kBpp, bpp);
    Write(vbe::kEnable, 0x41);
  }
};

TEST(Vbe, IdentityIsNegotiated) {
  Card card;
  EXPECT_EQ(card.Read(vbe::kId), 0xb0c5);
  card.Write(vbe::kId, 0xb0c0);
  EXPECT_EQ(card.Read(vbe::kId), 0xb0c0);
  EXPECT_TRUE(card.Write(vbe::kId, 0x1234).ignored);
  EXPECT_EQ(card.Read(vbe::kId), 0xb0c0);
  EXPECT_EQ(card.Read(vbe::kMemory64k), 256);
  EXPECT_TRUE(card.Write(vbe::kMemory64k, 1).ignored);
  EXPECT_EQ(card.Read(11), 0);
}

TEST(Vbe, AModeFillsInWhatFollowsAndClearsItsMemory) {
  Card card;
  card.Write(vbe::kXres, 1024);
  card.Write(vbe::kYres, 768);
  card.Write(vbe::kBpp, 32);
  EXPECT_EQ(card.Read(vbe::kVirtWidth), 0);
  EXPECT_EQ(card.Write(vbe::kEnable, 0x41).clear_bytes, 1024u * 768 * 4);
  EXPECT_EQ(card.Read(vbe::kVirtWidth), 1024);
  EXPECT_EQ(card.Read(vbe::kVirtHeight), 4096);
  EXPECT_EQ(card.Write(vbe::kEnable, 0x41).clear_bytes, 0u) << "it is on already";
  card.Write(vbe::kEnable, 0);
  EXPECT_EQ(card.Write(vbe::kEnable, 0xc1).clear_bytes, 0u) << "asked not to clear";
}

TEST(Vbe, WhatACardDoesNotHaveBecomesTheNearest) {
  Card card;
  card.SetMode(801, 600, 7);
  EXPECT_EQ(card.Read(vbe::kXres), 800);
  EXPECT_EQ(card.Read(vbe::kBpp), 8);
  card.SetMode(20000, 20000, 32);
  EXPECT_EQ(card.Read(vbe::kXres), 16000);
  EXPECT_EQ(card.Read(vbe::kYres), 262);
  EXPECT_EQ(card.Read(vbe::kVirtHeight), 262);
  card.SetMode(0, 0, 32);
  EXPECT_EQ(card.Read(vbe::kXres), 8);
  EXPECT_EQ(card.Read(vbe::kYres), 1);
}

TEST(Vbe, VirtualSizesAndOffsetsStayWithinTheMemory) {
  Card card;
  card.SetMode(1024, 768, 32);
  card.Write(vbe::kVirtWidth, 1000);
  EXPECT_EQ(card.Read(vbe::kVirtWidth), 1024);
  card.Write(vbe::kVirtWidth, 9000);
  EXPECT_EQ(card.Read(vbe::kYres), 466);
  EXPECT_EQ(card.Read(vbe::kVirtHeight), 466);
  card.Write(vbe::kXoffset, 100);
  card.Write(vbe::kYoffset, 50);
  EXPECT_EQ(card.Read(vbe::kXoffset), 100);
  EXPECT_EQ(card.Read(vbe::kYoffset), 0);
  card.Write(vbe::kXoffset, 9999);
  EXPECT_EQ(card.Read(vbe::kXoffset), 0);
  const VbeLayout layout = LayoutOf(card.state);
  EXPECT_EQ(layout.line_bytes, 36000u);
  EXPECT_EQ(layout.start, 0u);
}

TEST(Vbe, CapabilitiesAreReadInPlaceOfTheMode) {
  Card card;
  card.SetMode(640, 480, 8);
  card.Write(vbe::kBank, 9999);
  EXPECT_EQ(card.Read(vbe::kBank), 15);
  card.Write(vbe::kEnable, 3);
  EXPECT_EQ(card.Read(vbe::kXres), 16000);
  EXPECT_EQ(card.Read(vbe::kYres), 12000);
  EXPECT_EQ(card.Read(vbe::kBpp), 32);
}

TEST(Vbe, ALoadedModeIsOneThatExists) {
  Card card;
  card.SetMode(640, 480, 32);
  EXPECT_TRUE(Validate(card.state).has_value());
  VbeState depth = card.state;
  depth.bpp = 5;
  EXPECT_FALSE(Validate(depth).has_value());
  VbeState narrow = card.state;
  narrow.virt_width = 5;
  EXPECT_FALSE(Validate(narrow).has_value());
  VbeState identity = card.state;
  identity.id = 5;
  EXPECT_FALSE(Validate(identity).has_value());
}

}  // namespace
}  // namespace nandu

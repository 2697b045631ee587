// VGA's registers and its window, as a guest programs them.
#include <gtest/gtest.h>

#include "devices/display/vga_memory.h"
#include "unit/devices/display/vga_modes.h"

namespace nandu {
namespace {

class VgaRegisters : public ::testing::Test {
 protected:
  void Out(unsigned port, uint8_t value) { accepted = WriteVgaPort(&state, port, value); }
  void Set(unsigned port, unsigned index, uint8_t value) {
    Out(port, static_cast<uint8_t>(index));
    Out(port + 1, value);
  }
  uint8_t Get(unsigned port, unsigned index) {
    Out(port, static_cast<uint8_t>(index));
    return ReadVgaPort(&state, port + 1);
  }
  uint8_t ReadWindow(uint64_t at) { return ReadVgaWindow(&state, memory, at); }
  uint64_t WriteWindow(uint64_t at, uint8_t value) { return WriteVgaWindow(state, memory, at, value).bytes; }
  std::array<uint8_t, 4> Planes(uint64_t at) const {
    return {memory[4 * at], memory[4 * at + 1], memory[4 * at + 2], memory[4 * at + 3]};
  }

  VgaState state;
  bool accepted = false;
  std::vector<uint8_t> memory = std::vector<uint8_t>(1 << 20);
};

using Four = std::array<uint8_t, 4>;

// What QEMU 7.2's card reads back of ones.
TEST_F(VgaRegisters, HoldTheBitsThatAreThere) {
  const std::array<uint8_t, 9> graphics = {0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff};
  for (unsigned i = 0; i < graphics.size(); i++) {
    Set(0x3ce, i, 0xff);
    EXPECT_EQ(Get(0x3ce, i), graphics[i]) << i;
  }
  const std::array<uint8_t, 5> sequencer = {0x03, 0x3d, 0x0f, 0x3f, 0x0e};
  for (unsigned i = 0; i < sequencer.size(); i++) {
    Set(0x3c4, i, 0xff);
    EXPECT_EQ(Get(0x3c4, i), sequencer[i]) << i;
  }
  Out(0x3c2, 0xff);
  EXPECT_EQ(ReadVgaPort(&state, 0x3cc), 0xef);
}

TEST_F(VgaRegisters, TheCrtControllerIsWhereTheColourBitSays) {
  Set(0x3b4, 0x0f, 0x12);
  EXPECT_EQ(Get(0x3b4, 0x0f), 0x12);
  Out(0x3d4, 0);
  EXPECT_FALSE(accepted);
  EXPECT_EQ(ReadVgaPort(&state, 0x3da), 0xff);
  Out(0x3c2, 1);
  EXPECT_EQ(Get(0x3d4, 0x0f), 0x12);
  EXPECT_EQ(ReadVgaPort(&state, 0x3b5), 0xff);
}

TEST_F(VgaRegisters, ALockedCrtControllerKeepsItsTiming) {
  Out(0x3c2, 1);
  Set(0x3d4, 1, 0x4f);
  Set(0x3d4, 7, 0xef);
  Set(0x3d4, 0x11, 0x80);
  Set(0x3d4, 1, 0x11);
  EXPECT_EQ(Get(0x3d4, 1), 0x4f);
  Set(0x3d4, 7, 0x10);
  EXPECT_EQ(Get(0x3d4, 7), 0xff) << "bit 4 is the line compare's, which is not timing";
  Set(0x3d4, 0x0c, 0x77);
  EXPECT_EQ(Get(0x3d4, 0x0c), 0x77);
}

TEST_F(VgaRegisters, TheAttributePortTakesIndexAndDataInTurn) {
  Out(0x3c2, 1);
  Out(0x3c0, 0x10);
  Out(0x3c0, 0xff);
  Out(0x3c0, 0x10);
  EXPECT_EQ(ReadVgaPort(&state, 0x3c1), 0xef);
  ReadVgaPort(&state, 0x3da);
  Out(0x3c0, 0x05);
  Out(0x3c0, 0x2a);
  EXPECT_EQ(state.attribute[5], 0x2a);
  Out(0x3c0, 0x1f);  // an index that has no register
  Out(0x3c0, 0xff);
  Out(0x3c0, 0x1f);
  EXPECT_EQ(ReadVgaPort(&state, 0x3c1), 0);
}

TEST_F(VgaRegisters, RetraceComesAndGoes) {
  Out(0x3c2, 1);
  EXPECT_EQ(ReadVgaPort(&state, 0x3da), 0x09);
  EXPECT_EQ(ReadVgaPort(&state, 0x3da), 0x00);
}

TEST_F(VgaRegisters, TheDacTakesThreePartsAColour) {
  Out(0x3c8, 5);
  EXPECT_EQ(ReadVgaPort(&state, 0x3c7), 0);
  for (unsigned part = 1; part <= 6; part++) {
    Out(0x3c9, static_cast<uint8_t>(part));
  }
  EXPECT_EQ(ReadVgaPort(&state, 0x3c8), 7);
  Out(0x3c7, 6);
  EXPECT_EQ(ReadVgaPort(&state, 0x3c7), 3);
  EXPECT_EQ(ReadVgaPort(&state, 0x3c9), 4);
  EXPECT_EQ(ReadVgaPort(&state, 0x3c9), 5);
  EXPECT_EQ(ReadVgaPort(&state, 0x3c9), 6);
}

// ---- the window ----

TEST_F(VgaRegisters, TheMapSelectMovesTheWindow) {
  state = StateIn(TextMode());
  EXPECT_EQ(WriteWindow(0x18000, 'A'), 1u);
  EXPECT_EQ(WriteWindow(0, 'A'), 0u);
  EXPECT_EQ(ReadWindow(0x18000), 'A');
  EXPECT_EQ(ReadWindow(0x10000), 0xff);
  state.graphics[6] = 0x0a;
  EXPECT_EQ(ReadWindow(0x10000), 'A');
}

TEST_F(VgaRegisters, CharactersAndAttributesAreInPlanes0And1) {
  state = StateIn(TextMode());
  WriteWindow(0x18002, 'B');
  WriteWindow(0x18003, 0x1e);
  EXPECT_EQ(Planes(1), (Four{'B', 0x1e, 0, 0}));
}

TEST_F(VgaRegisters, Chain4IsLinearWithinItsMask) {
  state = StateIn(LinearMode());
  EXPECT_EQ(DirectWindow(state, memory.size()), (VgaDirectWindow{0, 0x10000, 0}));
  state.sequencer[2] = 0x05;
  EXPECT_EQ(DirectWindow(state, memory.size()), VgaDirectWindow{});
  EXPECT_EQ(WriteWindow(4, 0x11), 1u);
  EXPECT_EQ(WriteWindow(5, 0x22), 0u);
  EXPECT_EQ(WriteWindow(6, 0x33), 1u);
  EXPECT_EQ(Planes(1), (Four{0x11, 0, 0x33, 0}));
}

TEST_F(VgaRegisters, WriteModesGoThroughLatchesAndMasks) {
  state = StateIn(PlanarMode());
  EXPECT_EQ(DirectWindow(state, memory.size()), VgaDirectWindow{});
  // Mode 0: two planes get set/reset, two the byte, turned right by one; bits outside the mask are the
  // latches'.
  memory[8] = memory[9] = memory[10] = memory[11] = 0x55;
  EXPECT_EQ(ReadWindow(2), 0x55);
  state.graphics[0] = 0x01;
  state.graphics[1] = 0x03;
  state.graphics[3] = 1;
  state.graphics[8] = 0xf0;
  WriteWindow(2, 0x81);
  EXPECT_EQ(Planes(2), (Four{0xf5, 0x05, 0xc5, 0xc5}));
  // Mode 1 copies the latches.
  state.graphics[5] = 1;
  WriteWindow(3, 0);
  EXPECT_EQ(Planes(3), (Four{0x55, 0x55, 0x55, 0x55}));
  // Mode 2: a colour, through the mask, xor'ed with the latches.
  state.graphics[5] = 2;
  state.graphics[3] = 3 << 3;
  state.graphics[8] = 0x0f;
  WriteWindow(4, 0x0a);
  EXPECT_EQ(Planes(4), (Four{0x55, 0x5a, 0x55, 0x5a}));
  // Mode 3: the byte is one more mask for set/reset.
  state.graphics[5] = 3;
  state.graphics[3] = 0;
  state.graphics[0] = 0x0c;
  state.graphics[8] = 0x3c;
  WriteWindow(5, 0xf0);
  EXPECT_EQ(Planes(5), (Four{0x45, 0x45, 0x75, 0x75}));
  // The map mask keeps planes.
  state.sequencer[2] = 0x08;
  state.graphics[5] = 2;
  state.graphics[8] = 0xff;
  WriteWindow(6, 0x0f);
  EXPECT_EQ(Planes(6), (Four{0, 0, 0, 0xff}));
}

TEST_F(VgaRegisters, ReadModesChooseAPlaneOrCompareColours) {
  state = StateIn(PlanarMode());
  memory[0] = 0xf0;
  memory[1] = 0xcc;
  memory[2] = 0xaa;
  memory[3] = 0x00;
  state.graphics[4] = 2;
  EXPECT_EQ(ReadWindow(0), 0xaa);
  state.graphics[5] = 8;
  state.graphics[2] = 0x05;  // planes 0 and 2 set, 1 and 3 clear
  state.graphics[7] = 0x0f;
  EXPECT_EQ(ReadWindow(0), 0xf0 & 0xaa & ~0xcc);
  state.graphics[7] = 0x01;  // plane 0 alone counts
  EXPECT_EQ(ReadWindow(0), 0xf0);
}

TEST_F(VgaRegisters, ABankOfALinearModeIsInTheWindow) {
  const auto write = [this](unsigned index, uint16_t value) {
    static_cast<void>(WriteVbe(&state.vbe, index, value, memory.size()));
  };
  write(vbe::kXres, 640);
  write(vbe::kYres, 400);
  write(vbe::kBpp, 8);
  write(vbe::kEnable, 1);
  write(vbe::kBank, 3);
  EXPECT_EQ(DirectWindow(state, memory.size()), (VgaDirectWindow{0, 0x10000, 0x30000}));
  WriteWindow(5, 0x77);
  EXPECT_EQ(memory[0x30005], 0x77);
  EXPECT_EQ(ReadWindow(5), 0x77);
  EXPECT_EQ(WriteWindow(0x18000, 1), 0u);
}

}  // namespace
}  // namespace nandu

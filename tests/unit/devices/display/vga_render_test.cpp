// Pictures, dot by dot, against what the test works out itself.
#include "devices/display/vga_render.h"

#include <gtest/gtest.h>

#include "unit/devices/display/vga_modes.h"

namespace nandu {
namespace {

class VgaRender : public ::testing::Test {
 protected:
  void Render(BlinkPhase blink = BlinkPhase::kOn) { RenderVga(state, memory, blink, &picture); }
  uint32_t Dot(uint32_t x, uint32_t y) const { return picture.row(y)[x]; }
  void PutCell(unsigned cell, uint8_t character, uint8_t attribute) {
    memory[4 * cell] = character;
    memory[4 * cell + 1] = attribute;
  }
  void PutShape(unsigned map_address, uint8_t character, unsigned line, uint8_t dots) {
    memory[4 * (map_address + character * 32 + line) + 2] = dots;
  }
  void SetVbe(uint16_t width, uint16_t height, uint16_t bpp, uint16_t enable = 0x41) {
    const std::pair<unsigned, uint16_t> writes[] = {{vbe::kEnable, uint16_t{0}},
                                                    {vbe::kXres, width},
                                                    {vbe::kYres, height},
                                                    {vbe::kBpp, bpp},
                                                    {vbe::kEnable, enable}};
    for (const auto& [index, value] : writes) {
      static_cast<void>(WriteVbe(&state.vbe, index, value, memory.size()));
    }
  }

  VgaState state;
  std::vector<uint8_t> memory = std::vector<uint8_t>(1 << 20);
  Picture picture;
};

TEST_F(VgaRender, NobodyHasProgrammedItSoItIsBlack) {
  Render();
  EXPECT_EQ(picture.width, 640u);
  EXPECT_EQ(picture.height, 480u);
  EXPECT_EQ(picture.pixels, std::vector<uint32_t>(640 * 480));
}

TEST_F(VgaRender, TextHasNineDotsACharacter) {
  state = StateIn(TextMode());
  PutCell(81, 'X', 0x1e);  // second row, second column: 14 on 1
  PutShape(0, 'X', 3, 0xa5);
  Render();
  ASSERT_EQ(picture.width, 720u);
  ASSERT_EQ(picture.height, 400u);
  const std::string line = "X.X..X.X.";
  for (uint32_t dot = 0; dot < 9; dot++) {
    EXPECT_EQ(Dot(9 + dot, 16 + 3), RampColour(line[dot] == 'X' ? 14 : 1)) << dot;
    EXPECT_EQ(Dot(9 + dot, 16 + 4), RampColour(1)) << dot;
  }
  EXPECT_EQ(Dot(18, 19), RampColour(0));
}

TEST_F(VgaRender, LineShapesTouchTheirNeighbours) {
  state = StateIn(TextMode());
  for (const uint8_t character : {uint8_t{0xc4}, uint8_t{'A'}}) {
    PutCell(0, character, 0x07);
    PutShape(0, character, 0, 0x01);
    Render();
    EXPECT_EQ(Dot(7, 0), RampColour(7));
    EXPECT_EQ(Dot(8, 0), RampColour(character == 'A' ? 0 : 7)) << character;
  }
  state.attribute[0x10] &= 0xfb;
  PutCell(0, 0xc4, 0x07);
  Render();
  EXPECT_EQ(Dot(8, 0), RampColour(0));
}

TEST_F(VgaRender, EightDotsADoubledClockAndTwoFonts) {
  VgaMode mode = TextMode();
  mode.sequencer[1] = 0x09;  // eight dots, each two wide
  mode.sequencer[3] = 0x24;  // map 5 where attribute bit 3 is set: register bits 5, 3 and 2
  state = StateIn(mode);
  PutCell(0, 'a', 0x0f);
  PutCell(1, 'a', 0x07);
  PutShape(0x4000 + 0x2000, 'a', 0, 0x80);  // map 5 is 8 KiB after map 1
  PutShape(0, 'a', 0, 0x01);
  Render();
  ASSERT_EQ(picture.width, 80u * 16);
  EXPECT_EQ(Dot(0, 0), RampColour(15));
  EXPECT_EQ(Dot(1, 0), RampColour(15));
  EXPECT_EQ(Dot(2, 0), RampColour(0));
  EXPECT_EQ(Dot(16 + 13, 0), RampColour(0));
  EXPECT_EQ(Dot(16 + 14, 0), RampColour(7));
}

TEST_F(VgaRender, TheCursorAndBlinkingTextComeAndGo) {
  VgaMode mode = TextMode();
  mode.crtc[0x0a] = 14;
  mode.crtc[0x0b] = 15;
  mode.crtc[0x0f] = 2;
  state = StateIn(mode);
  PutCell(0, 'b', 0x81 | 0x20);  // blinks: 1 on 2
  PutShape(0, 'b', 0, 0xff);
  PutCell(2, ' ', 0x07);
  Render(BlinkPhase::kOn);
  EXPECT_EQ(Dot(0, 0), RampColour(1));
  EXPECT_EQ(Dot(0, 1), RampColour(2));
  EXPECT_EQ(Dot(18, 13), RampColour(0));
  EXPECT_EQ(Dot(18, 14), RampColour(7));
  EXPECT_EQ(Dot(26, 15), RampColour(7)) << "nine dots wide";
  Render(BlinkPhase::kOff);
  EXPECT_EQ(Dot(0, 0), RampColour(2));
  EXPECT_EQ(Dot(18, 14), RampColour(0));
  state.attribute[0x10] &= 0xf7;  // no blinking: the bit is the background's
  Render(BlinkPhase::kOff);
  EXPECT_EQ(Dot(0, 0), RampColour(1));
  EXPECT_EQ(Dot(0, 1), RampColour(10));
  state.crtc[0x0a] |= 0x20;
  Render(BlinkPhase::kOn);
  EXPECT_EQ(Dot(18, 14), RampColour(0));
}

TEST_F(VgaRender, AScreenScrollsByItsStartAndSplitsAtItsLineCompare) {
  VgaMode mode = TextMode();
  mode.crtc[0x0d] = 80;  // starts at the second row
  mode.crtc[0x07] = 0x0f;
  mode.crtc[0x09] = 0x0f;
  mode.crtc[0x18] = 31;  // two rows
  state = StateIn(mode);
  for (unsigned row = 0; row < 4; row++) {
    PutCell(row * 80, ' ', static_cast<uint8_t>((row + 1) << 4));
  }
  Render();
  EXPECT_EQ(Dot(0, 0), RampColour(2));
  EXPECT_EQ(Dot(0, 31), RampColour(3));
  EXPECT_EQ(Dot(0, 32), RampColour(1));
  EXPECT_EQ(Dot(0, 48), RampColour(2));
}

TEST_F(VgaRender, FourPlanesMakeSixteenColours) {
  state = StateIn(PlanarMode());
  memory[4 * 81 + 0] = 0x80;  // second line, second byte
  memory[4 * 81 + 3] = 0x81;
  Render();
  ASSERT_EQ(picture.width, 640u);
  ASSERT_EQ(picture.height, 480u);
  EXPECT_EQ(Dot(8, 1), RampColour(9));
  EXPECT_EQ(Dot(9, 1), RampColour(0));
  EXPECT_EQ(Dot(15, 1), RampColour(8));
  EXPECT_EQ(Dot(8, 0), RampColour(0));
  state.attribute[0x12] = 0x07;  // plane 3 is not shown
  Render();
  EXPECT_EQ(Dot(8, 1), RampColour(1));
  state.attribute[0x10] |= 0x80;  // bits 7 to 4 of a colour come from register 14h
  state.attribute[0x14] = 0x02;
  Render();
  EXPECT_EQ(Dot(8, 1), RampColour(0x21));
}

TEST_F(VgaRender, LinesOf256ColoursAreTwoDotsSquare) {
  state = StateIn(LinearMode());
  memory[320 + 5] = 200;  // second line, sixth pixel
  Render();
  ASSERT_EQ(picture.width, 640u);
  ASSERT_EQ(picture.height, 400u);
  for (const auto& [x, y] : {std::pair{10U, 2U}, {11U, 2U}, {10U, 3U}, {11U, 3U}}) {
    EXPECT_EQ(Dot(x, y), RampColour(200));
  }
  EXPECT_EQ(Dot(9, 2), RampColour(0));
  EXPECT_EQ(Dot(12, 2), RampColour(0));
  EXPECT_EQ(Dot(10, 4), RampColour(0));
  state.pel_mask = 0x0f;
  Render();
  EXPECT_EQ(Dot(10, 2), RampColour(200 & 0x0f));
}

TEST_F(VgaRender, CgasOddLinesAreEightKibibytesOn) {
  state = StateIn(CgaMode());
  // Byte 1 of the first odd line: host address 2001h, odd: plane 1 of cell 1000h.
  memory[4 * 0x1000 + 1] = 0b11100100;
  Render();
  ASSERT_EQ(picture.width, 640u);
  ASSERT_EQ(picture.height, 400u);
  for (uint32_t pixel = 0; pixel < 4; pixel++) {
    EXPECT_EQ(Dot(8 + 2 * pixel, 2), RampColour(3 - pixel)) << pixel;
    EXPECT_EQ(Dot(8 + 2 * pixel + 1, 3), RampColour(3 - pixel)) << pixel;
  }
  EXPECT_EQ(Dot(8, 0), RampColour(0));
}

TEST_F(VgaRender, LinearModesOfEveryDepth) {
  state.attribute_index = 0x20;
  const OutByte out = [this](unsigned port, uint8_t value) { WriteVgaPort(&state, port, value); };
  SetRampPalette(out);
  SetVbe(64, 2, 32);
  memory[64 * 4] = 0x11;
  memory[64 * 4 + 1] = 0x22;
  memory[64 * 4 + 2] = 0x33;
  memory[64 * 4 + 3] = 0x44;
  Render();
  ASSERT_EQ(picture.width, 64u);
  ASSERT_EQ(picture.height, 2u);
  EXPECT_EQ(Dot(0, 1), 0x332211u);
  state.big_endian = true;
  Render();
  EXPECT_EQ(Dot(0, 1), 0x223344u);
  state.big_endian = false;
  SetVbe(64, 2, 24);
  memory[3] = 0x01;
  memory[5] = 0xfe;
  Render();
  EXPECT_EQ(Dot(1, 0), 0xfe0001u);
  SetVbe(64, 2, 16);
  memory[0] = 0xff;
  memory[1] = 0x07;  // 00000 111111 11111
  Render();
  EXPECT_EQ(Dot(0, 0), 0x00ffffu);
  SetVbe(64, 2, 15);
  memory[1] = 0xfc;  // 1 11111 00111 11111
  Render();
  EXPECT_EQ(Dot(0, 0), 0xff39ffu);
  SetVbe(64, 2, 8);
  memory[0] = 77;
  Render();
  EXPECT_EQ(Dot(0, 0), RampColour(77));
  SetVbe(64, 2, 8, 0x61);  // eight bits a part
  Render();
  EXPECT_EQ(Dot(0, 0), (77u & 63) << 16 | (78u & 63) << 8 | (79u & 63));
  SetVbe(64, 2, 4);
  state.attribute[0x12] = 0x0f;
  state.attribute[5] = 5;
  memory[4] = 0x80;
  memory[5] = 0;
  memory[6] = 0x80;
  Render();
  EXPECT_EQ(Dot(8, 0), RampColour(5));
}

TEST_F(VgaRender, ALargerVirtualScreenShowsThroughItsOffsets) {
  state.attribute_index = 0x20;
  SetVbe(64, 4, 32);
  for (const auto& [index, value] :
       {std::pair{vbe::kVirtWidth, 128}, {vbe::kXoffset, 3}, {vbe::kYoffset, 2}}) {
    static_cast<void>(WriteVbe(&state.vbe, index, static_cast<uint16_t>(value), memory.size()));
  }
  memory[(3 * 128 + 3 + 5) * 4] = 0x99;
  Render();
  EXPECT_EQ(Dot(5, 1), 0x99u);
}

TEST_F(VgaRender, AScreenThatIsOffIsBlackAndKeepsItsSize) {
  state = StateIn(TextMode());
  PutCell(0, ' ', 0x70);
  state.sequencer[1] |= 0x20;
  Render();
  EXPECT_EQ(picture.width, 720u);
  EXPECT_EQ(Dot(0, 0), 0u);
  state.sequencer[1] &= 0xdf;
  state.attribute_index &= 0x1f;
  Render();
  EXPECT_EQ(Dot(0, 0), 0u);
  state.attribute_index |= 0x20;
  Render();
  EXPECT_EQ(Dot(0, 0), RampColour(7));
}

TEST_F(VgaRender, AModeBeyondTheMemoryIsDrawnAsFarAsItGoes) {
  state.attribute_index = 0x20;
  SetVbe(640, 400, 32);
  memory.assign(memory.size(), 0xff);
  state.vbe.yres = 12000;  // what no card accepts, and a hostile stream may hold
  state.vbe.y_offset = 60000;
  Render();
  EXPECT_EQ(picture.height, 12000u);
  EXPECT_EQ(Dot(0, 11999), 0u);
  state.vbe.y_offset = 0;
  Render();
  EXPECT_EQ(Dot(0, 0), 0xffffffu);
  EXPECT_EQ(Dot(0, 410), 0u);
}

}  // namespace
}  // namespace nandu

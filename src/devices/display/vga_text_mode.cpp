#include "devices/display/vga_text_mode.h"

#include <algorithm>
#include <array>

#include "devices/display/vga_registers.h"

namespace nandu {
namespace {

constexpr size_t kShapeLines = 16;
constexpr size_t kShapeStride = 32;  // in plane 2
constexpr size_t kCells = 80 * 25;

// IBM VGA, mode 3 with 400 lines (FreeVGA's appendix lists it): nine dots a character, the screen at 0xb8000.
constexpr uint8_t kMiscMode3 = 0x67;
constexpr std::array<uint8_t, 5> kSequencer = {0x03, 0x00, 0x03, 0x00, 0x02};
constexpr std::array<uint8_t, 25> kCrtc = {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00,
                                           0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e,
                                           0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff};
constexpr std::array<uint8_t, 9> kGraphics = {0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x00, 0xff};
constexpr std::array<uint8_t, 21> kAttribute = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14,
                                                0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d,
                                                0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00};

template <size_t kCount>
void WriteIndexed(VgaCore& core, unsigned port, const std::array<uint8_t, kCount>& values) {
  for (unsigned i = 0; i < kCount; i++) {
    core.WritePort(port, static_cast<uint8_t>(i));
    core.WritePort(port + 1, values.at(i));
  }
}

void WriteRegisters(VgaCore& core) {
  core.WritePort(vga::kMiscWrite, kMiscMode3);
  WriteIndexed(core, vga::kSequencerIndex, kSequencer);
  core.WritePort(vga::kColourCrtcIndex, vga::kRetraceEnd);  // unlocks registers 0 to 7
  core.WritePort(vga::kColourCrtcData, 0);
  WriteIndexed(core, vga::kColourCrtcIndex, kCrtc);
  WriteIndexed(core, vga::kGraphicsIndex, kGraphics);
  core.ReadPort(vga::kColourStatus1);
  for (unsigned i = 0; i < kAttribute.size(); i++) {
    core.WritePort(vga::kAttributeIndex, static_cast<uint8_t>(i));
    core.WritePort(vga::kAttributeIndex, kAttribute.at(i));
  }
  core.WritePort(vga::kAttributeIndex, vga::kAttributePaletteOn);
}

// EGA's 64 colours: bits 2 to 0 are two thirds of red, green and blue, bits 5 to 3 one third.
void WriteColours(VgaCore& core) {
  constexpr unsigned kColours = 64;
  constexpr unsigned kThird = 21;
  core.WritePort(vga::kPelMask, 0xff);
  core.WritePort(vga::kDacWriteIndex, 0);
  for (unsigned colour = 0; colour < kColours; colour++) {
    for (const unsigned part : {2U, 1U, 0U}) {
      const unsigned level = (colour >> part & 1) * 2 + (colour >> (part + 3) & 1);
      core.WritePort(vga::kDacData, static_cast<uint8_t>(level * kThird));
    }
  }
}

}  // namespace

std::optional<std::span<const uint8_t>> FindTextFont(std::span<const uint8_t> rom) {
  constexpr std::array<uint8_t, 2 * kShapeLines> kStart = {
      0, 0, 0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0, 0, 0, 0,
      0, 0, 0x7e, 0x81, 0xa5, 0x81, 0x81, 0xbd, 0x99, 0x81, 0x81, 0x7e, 0, 0, 0, 0};
  const auto found = std::search(rom.begin(), rom.end(), kStart.begin(), kStart.end());
  const auto left = static_cast<size_t>(rom.end() - found);
  if (left < kTextFontBytes) {
    return std::nullopt;
  }
  return rom.subspan(rom.size() - left, kTextFontBytes);
}

void SetUpTextMode(VgaCore& core, std::span<const uint8_t> font) {
  core.Reset();
  WriteRegisters(core);
  WriteColours(core);
  std::byte* const memory = core.memory()->host();
  for (size_t at = 0; at < font.size() && at < kTextFontBytes; at++) {
    const size_t address = at / kShapeLines * kShapeStride + at % kShapeLines;
    memory[address * vga::kPlanes + 2] = std::byte{font[at]};
  }
  for (size_t cell = 0; cell < kCells; cell++) {
    constexpr std::byte kGreyOnBlack{0x07};
    memory[cell * vga::kPlanes] = std::byte{' '};
    memory[cell * vga::kPlanes + 1] = kGreyOnBlack;
  }
  core.memory()->MarkDirty(0, kVgaShownBytes);
}

}  // namespace nandu

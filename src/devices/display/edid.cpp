#include "devices/display/edid.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace nandu {
namespace {

constexpr size_t kBlockBytes = 128;
constexpr size_t kDescriptorBytes = 18;
constexpr size_t kFirstDescriptor = 0x36;

// Modes that have a bit or a code of their own.
struct NamedMode {
  uint32_t width;
  uint32_t height;
  size_t byte;  // in its block, or descriptor
  uint8_t bits;
};
constexpr NamedMode kEstablished[] = {
    {640, 480, 0x23, 0x20}, {800, 600, 0x23, 0x01}, {1024, 768, 0x24, 0x08}};  // 3.8, at 60 Hz
constexpr NamedMode kEstablished3[] = {{1280, 768, 7, 0x40},   {1360, 768, 8, 0x80},
                                       {1400, 1050, 8, 0x02},  {1792, 1344, 10, 0x20},
                                       {1856, 1392, 10, 0x08}, {1920, 1440, 11, 0x20}};
struct StandardMode {
  uint32_t width;
  uint32_t height;
  uint8_t aspect;  // 3.9: bits 7:6; the rate of 60 Hz is 0 in the others
};
constexpr StandardMode kStandard[] = {{2048, 1152, 0xc0}, {1920, 1080, 0xc0}, {1920, 1200, 0x00},
                                      {1600, 1200, 0x40}, {1680, 1050, 0x00}, {1440, 900, 0x00},
                                      {1280, 1024, 0x80}, {1280, 960, 0x40}};
struct CeaMode {
  uint32_t width;
  uint32_t height;
  uint8_t code;  // CEA-861-F, table 3
};
constexpr CeaMode kCea[] = {{5120, 2160, 125}, {4096, 2160, 101}, {3840, 2160, 96},
                            {2560, 1080, 89},  {1920, 1080, 31},  {3840, 2160, 97}};

bool Fits(uint32_t width, uint32_t height, const EdidOptions& options) {
  return (options.xmax == 0 || width <= options.xmax) && (options.ymax == 0 || height <= options.ymax);
}

void PutChecksum(uint8_t* block) {
  uint8_t sum = 0;
  for (size_t i = 0; i < kBlockBytes - 1; i++) {
    sum = static_cast<uint8_t>(sum + block[i]);
  }
  block[kBlockBytes - 1] = static_cast<uint8_t>(0x100 - sum);
}

uint32_t MillimetresOf(uint32_t pixels) {
  constexpr uint32_t kDotsPerInch = 100;
  return pixels * 254 / 10 / kDotsPerInch;
}

// 3.10.2: a detailed timing, with blanking in the proportions QEMU's monitor has.
void PutTiming(const EdidOptions& options, uint8_t* to) {
  const uint32_t width = options.xres;
  const uint32_t height = options.yres;
  const uint32_t x_blank = width * 35 / 100;
  const uint32_t x_front = width * 25 / 100;
  const uint32_t x_sync = width * 3 / 100;
  const uint32_t y_blank = height * 35 / 1000;
  const uint32_t y_front = height * 5 / 1000;
  const uint32_t y_sync = height * 5 / 1000;
  const uint64_t clock_10khz =
      uint64_t{width + x_blank} * (height + y_blank) * options.refresh_mhz / 1000 / 10000;
  const uint32_t x_mm = MillimetresOf(width);
  const uint32_t y_mm = MillimetresOf(height);
  const auto put = [to](size_t at, uint64_t value) { to[at] = static_cast<uint8_t>(value); };
  put(0, clock_10khz);
  put(1, clock_10khz >> 8);
  put(2, width);
  put(3, x_blank);
  put(4, width >> 8 << 4 | x_blank >> 8);
  put(5, height);
  put(6, y_blank);
  put(7, height >> 8 << 4 | y_blank >> 8);
  put(8, x_front);
  put(9, x_sync);
  put(10, (y_front & 0xf) << 4 | (y_sync & 0xf));
  put(11, x_front >> 8 << 6 | x_sync >> 8 << 4 | y_front >> 4 << 2 | y_sync >> 4);
  put(12, x_mm);
  put(13, y_mm);
  put(14, x_mm >> 8 << 4 | y_mm >> 8);
  put(17, 0x18);  // digital, separate sync
}

// 3.10.3: a display descriptor.
uint8_t* PutDescriptor(uint8_t* to, uint8_t tag) {
  to[3] = tag;
  return to;
}

void PutEstablished3(const EdidOptions& options, uint8_t* to) {
  to[5] = 10;  // revision
  for (const NamedMode& mode : kEstablished3) {
    to[mode.byte] |= Fits(mode.width, mode.height, options) ? mode.bits : uint8_t{0};
  }
}

void PutRange(uint8_t* to) {
  // 50 to 125 Hz, 30 to 160 kHz, 2550 MHz; limits only.
  constexpr std::array<uint8_t, 14> kRange = {0,    50,  125, 30,  160, 255, 1,
                                              '\n', ' ', ' ', ' ', ' ', ' ', ' '};
  std::copy(kRange.begin(), kRange.end(), to + 4);
}

void PutName(uint8_t* to) {
  constexpr std::string_view kName = "QEMU Monitor\n";
  std::copy(kName.begin(), kName.end(), to + 5);
}

void PutCea(const EdidOptions& options, uint8_t* block) {
  constexpr uint8_t kVideo = 2;
  constexpr uint8_t kDummy = 0x10;
  size_t at = 5;
  for (const CeaMode& mode : kCea) {
    if (Fits(mode.width, mode.height, options)) {
      block[at++] = mode.code;
    }
  }
  block[0] = 2;  // CEA-861, revision 3
  block[1] = 3;
  block[2] = static_cast<uint8_t>(at);  // where descriptors begin
  block[4] = static_cast<uint8_t>(kVideo << 5 | (at - 5));
  for (; at + kDescriptorBytes <= kBlockBytes - 1; at += kDescriptorBytes) {
    PutDescriptor(block + at, kDummy);
  }
  PutChecksum(block);
}

}  // namespace

std::vector<uint8_t> MakeEdid(const EdidOptions& options) {
  // 3.3 to 3.7: header, maker "RHT", product 1234h, week 42 of 2014, version 1.4; a digital display of eight
  // bits on DisplayPort, its size in centimetres, gamma 2.2, sRGB with a preferred timing, and sRGB's
  // primaries.
  constexpr std::array<uint8_t, 0x23> kHead = {
      0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x49, 0x14, 0x34, 0x12, 0x00, 0x00, 0x00, 0x00, 42,  24,
      1,    4,    0xa5, 0,    0,    120,  0x06, 0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54};
  std::vector<uint8_t> edid(2 * kBlockBytes);
  std::copy(kHead.begin(), kHead.end(), edid.begin());
  edid[0x15] = static_cast<uint8_t>(MillimetresOf(options.xres) / 10);
  edid[0x16] = static_cast<uint8_t>(MillimetresOf(options.yres) / 10);
  for (const NamedMode& mode : kEstablished) {
    edid[mode.byte] |= Fits(mode.width, mode.height, options) ? mode.bits : uint8_t{0};
  }
  size_t at = 0x26;
  for (const StandardMode& mode : kStandard) {
    if (Fits(mode.width, mode.height, options)) {
      edid[at++] = static_cast<uint8_t>(mode.width / 8 - 31);
      edid[at++] = mode.aspect;
    }
  }
  std::fill(edid.begin() + static_cast<ptrdiff_t>(at), edid.begin() + kFirstDescriptor,
            uint8_t{1});  // unused
  uint8_t* descriptor = edid.data() + kFirstDescriptor;
  PutTiming(options, descriptor);
  PutEstablished3(options, PutDescriptor(descriptor + kDescriptorBytes, 0xf7));
  PutRange(PutDescriptor(descriptor + 2 * kDescriptorBytes, 0xfd));
  PutName(PutDescriptor(descriptor + 3 * kDescriptorBytes, 0xfc));
  edid[0x7e] = 1;  // an extension follows
  PutChecksum(edid.data());
  PutCea(options, edid.data() + kBlockBytes);
  return edid;
}

}  // namespace nandu

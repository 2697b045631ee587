// Pictures as files: every byte of a PPM, and a PNG taken apart again.
#include "devices/display/picture_file.h"

#include <gtest/gtest.h>
#include <string>
#include <zlib.h>

namespace nandu {
namespace {

Picture Small() {
  Picture picture;
  picture.Resize(2, 2);
  picture.pixels = {0x112233, 0x445566, 0x778899, 0xaabbcc};
  return picture;
}

std::string Encoded(PictureFormat format) {
  const std::vector<std::byte> bytes = EncodePicture(Small(), format).value();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

uint32_t Big32(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; i++) {
    value = value << 8 | static_cast<uint8_t>(bytes.at(at + i));
  }
  return value;
}

TEST(PictureFile, PpmIsAHeaderAndColours) {
  EXPECT_EQ(Encoded(PictureFormat::kPpm), "P6\n2 2\n255\n\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc");
}

TEST(PictureFile, PngHoldsTheSameColours) {
  const std::string png = Encoded(PictureFormat::kPng);
  ASSERT_EQ(png.substr(0, 8), "\x89PNG\r\n\x1a\n");
  std::string packed;
  std::string types;
  for (size_t at = 8; at < png.size();) {
    const uint32_t bytes = Big32(png, at);
    const std::string type = png.substr(at + 4, 4);
    const std::string data = png.substr(at + 8, bytes);
    const std::string checked = type + data;
    EXPECT_EQ(Big32(png, at + 8 + bytes),
              crc32(0, reinterpret_cast<const Bytef*>(checked.data()), static_cast<uInt>(checked.size())));
    types += type;
    packed += type == "IDAT" ? data : "";
    at += 12 + bytes;
  }
  EXPECT_EQ(types, "IHDRIDATIEND");
  EXPECT_EQ(png.substr(16, 13), std::string("\0\0\0\2\0\0\0\2\10\2\0\0\0", 13));
  std::string rows(100, '\0');
  uLongf bytes = rows.size();
  ASSERT_EQ(uncompress(reinterpret_cast<Bytef*>(rows.data()), &bytes,
                       reinterpret_cast<const Bytef*>(packed.data()), packed.size()),
            Z_OK);
  EXPECT_EQ(rows.substr(0, bytes), std::string("\0\x11\x22\x33\x44\x55\x66\0\x77\x88\x99\xaa\xbb\xcc", 14));
}

}  // namespace
}  // namespace nandu

#include "devices/display/picture_file.h"

#include <array>
#include <span>
#include <string_view>
#include <zlib.h>

#include "base/format.h"

namespace nandu {
namespace {

constexpr size_t kColours = 3;

void Append(std::string_view text, std::vector<std::byte>* out) {
  for (const char c : text) {
    out->push_back(static_cast<std::byte>(c));
  }
}

// Red, green, blue of one row.
void AppendRow(const Picture& picture, uint32_t y, std::vector<std::byte>* out) {
  const uint32_t* const row = picture.row(y);
  for (uint32_t x = 0; x < picture.width; x++) {
    for (const unsigned shift : {16U, 8U, 0U}) {
      out->push_back(static_cast<std::byte>(row[x] >> shift));
    }
  }
}

void AppendBig32(uint32_t value, std::vector<std::byte>* out) {
  for (const unsigned shift : {24U, 16U, 8U, 0U}) {
    out->push_back(static_cast<std::byte>(value >> shift));
  }
}

// 5.3: length, type, data, CRC of type and data.
void AppendChunk(std::string_view type, std::span<const std::byte> data, std::vector<std::byte>* out) {
  AppendBig32(static_cast<uint32_t>(data.size()), out);
  const size_t start = out->size();
  Append(type, out);
  out->insert(out->end(), data.begin(), data.end());
  const uLong crc = crc32_z(0, reinterpret_cast<const Bytef*>(out->data() + start), out->size() - start);
  AppendBig32(static_cast<uint32_t>(crc), out);
}

std::vector<std::byte> Ppm(const Picture& picture) {
  std::vector<std::byte> file;
  file.reserve(picture.pixels.size() * kColours + 32);
  Append(Format("P6\n{} {}\n255\n", picture.width, picture.height), &file);
  for (uint32_t y = 0; y < picture.height; y++) {
    AppendRow(picture, y, &file);
  }
  return file;
}

Result<std::vector<std::byte>> Png(const Picture& picture) {
  std::vector<std::byte> rows;
  rows.reserve((picture.width * kColours + 1) * size_t{picture.height});
  for (uint32_t y = 0; y < picture.height; y++) {
    rows.push_back(std::byte{0});  // 9.2: filter type none
    AppendRow(picture, y, &rows);
  }
  uLongf bytes = compressBound(rows.size());
  std::vector<std::byte> packed(bytes);
  if (compress2(reinterpret_cast<Bytef*>(packed.data()), &bytes, reinterpret_cast<const Bytef*>(rows.data()),
                rows.size(), Z_DEFAULT_COMPRESSION) != Z_OK) {
    return Fail(Errc::kNoMemory, "a picture of {}x{} cannot be packed as PNG", picture.width, picture.height);
  }
  packed.resize(bytes);

  std::vector<std::byte> header;
  AppendBig32(picture.width, &header);
  AppendBig32(picture.height, &header);
  // 11.2.2: eight bits, truecolour, deflate, adaptive, no interlace
  for (const unsigned field : {8U, 2U, 0U, 0U, 0U}) {
    header.push_back(static_cast<std::byte>(field));
  }
  std::vector<std::byte> file;
  file.reserve(packed.size() + 64);
  Append("\x89PNG\r\n\x1a\n", &file);
  AppendChunk("IHDR", header, &file);
  AppendChunk("IDAT", packed, &file);
  AppendChunk("IEND", {}, &file);
  return file;
}

}  // namespace

Result<std::vector<std::byte>> EncodePicture(const Picture& picture, PictureFormat format) {
  return format == PictureFormat::kPng ? Png(picture) : Result<std::vector<std::byte>>(Ppm(picture));
}

}  // namespace nandu

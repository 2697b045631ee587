#include "block/qcow2/compressed.h"

#include <memory>
#include <zlib.h>
#include <zstd.h>

#include "base/checked.h"

namespace nandu::qcow2 {
namespace {

bool Inflate(std::span<const std::byte> from, std::span<std::byte> into) {
  constexpr int kRawDeflate = -MAX_WBITS;  // any window, and no zlib header
  z_stream stream{};
  // zlib reads what it is given and does not write there.
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(from.data()));  // NOLINT
  stream.avail_in = Narrow<uInt>(from.size());
  stream.next_out = reinterpret_cast<Bytef*>(into.data());
  stream.avail_out = Narrow<uInt>(into.size());
  if (::inflateInit2(&stream, kRawDeflate) != Z_OK) {
    return false;
  }
  const int result = ::inflate(&stream, Z_FINISH);
  const bool whole = stream.avail_out == 0 && (result == Z_STREAM_END || result == Z_BUF_ERROR);
  ::inflateEnd(&stream);
  return whole;
}

bool Unzstd(std::span<const std::byte> from, std::span<std::byte> into) {
  const std::unique_ptr<ZSTD_DCtx, decltype(&::ZSTD_freeDCtx)> context(::ZSTD_createDCtx(), &::ZSTD_freeDCtx);
  if (context == nullptr) {
    return false;
  }
  ZSTD_inBuffer input{from.data(), from.size(), 0};
  ZSTD_outBuffer output{into.data(), into.size(), 0};
  while (output.pos < output.size) {
    const size_t before_in = input.pos;
    const size_t before_out = output.pos;
    const size_t result = ::ZSTD_decompressStream(context.get(), &output, &input);
    if (::ZSTD_isError(result) != 0 || (input.pos == before_in && output.pos == before_out)) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool Decompress(uint8_t method, std::span<const std::byte> from, std::span<std::byte> into) {
  return method == 0 ? Inflate(from, into) : Unzstd(from, into);
}

}  // namespace nandu::qcow2

// Frames in a byte stream, as QEMU's -netdev stream and passt write them: four bytes of length, big-endian, then the frame. Bytes of a
// peer's; no I/O here. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace nandu {

inline constexpr size_t kStreamLengthBytes = 4;
inline constexpr size_t kMaxStreamFrameBytes = 4096 + 65536;  // QEMU's: a longer one ends the connection

std::array<std::byte, kStreamLengthBytes> StreamLength(size_t frame_bytes);

class StreamSplitter {
 public:
  StreamSplitter() : buffer_(2 * (kStreamLengthBytes + kMaxStreamFrameBytes)) {}

  // Where received bytes go; never empty once TakeFrame answered kMore. Filled says how many came.
  std::span<std::byte> Room();
  void Filled(size_t bytes) { end_ += bytes; }

  enum class Next : uint8_t { kFrame, kMore, kBad };  // kBad: no length this side would send
  // A frame that is complete, without its length; it lies in the buffer until the next Room. Empty ones are skipped.
  Next TakeFrame(std::span<const std::byte>* frame);

 private:
  std::vector<std::byte> buffer_;
  size_t begin_ = 0;  // of what is not taken yet
  size_t end_ = 0;
};

}  // namespace nandu

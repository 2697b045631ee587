#include "net/stream_framing.h"

#include <cstring>

namespace nandu {

std::array<std::byte, kStreamLengthBytes> StreamLength(size_t frame_bytes) {
  return {static_cast<std::byte>(frame_bytes >> 24), static_cast<std::byte>(frame_bytes >> 16),
          static_cast<std::byte>(frame_bytes >> 8), static_cast<std::byte>(frame_bytes)};
}

std::span<std::byte> StreamSplitter::Room() {
  // What is left is less than a frame, and half of the buffer holds one.
  if (begin_ == end_ || begin_ > buffer_.size() / 2) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return std::span(buffer_).subspan(end_);
}

StreamSplitter::Next StreamSplitter::TakeFrame(std::span<const std::byte>* frame) {
  while (end_ - begin_ >= kStreamLengthBytes) {
    size_t length = 0;
    for (size_t i = 0; i < kStreamLengthBytes; ++i) {
      length = length << 8 | std::to_integer<size_t>(buffer_[begin_ + i]);
    }
    if (length > kMaxStreamFrameBytes) {
      return Next::kBad;
    }
    if (end_ - begin_ - kStreamLengthBytes < length) {
      return Next::kMore;
    }
    *frame = std::span(buffer_).subspan(begin_ + kStreamLengthBytes, length);
    begin_ += kStreamLengthBytes + length;
    if (length > 0) {
      return Next::kFrame;
    }
  }
  return Next::kMore;
}

}  // namespace nandu

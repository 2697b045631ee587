// What the peer of a stream netdev sends, in pieces of any size: frames lie within the buffer, and nothing grows.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "net/stream_framing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  nandu::StreamSplitter splitter;
  uint64_t sum = 0;
  while (size > 0) {
    // A byte says how many follow at once.
    const size_t wanted = static_cast<size_t>(*data) * 8 + 1;
    ++data;
    --size;
    const std::span<std::byte> room = splitter.Room();
    if (room.empty()) {
      std::abort();  // the contract: there is room once every frame was taken
    }
    const size_t count = std::min({wanted, size, room.size()});
    std::memcpy(room.data(), data, count);
    splitter.Filled(count);
    data += count;
    size -= count;
    std::span<const std::byte> frame;
    nandu::StreamSplitter::Next next = splitter.TakeFrame(&frame);
    for (; next == nandu::StreamSplitter::Next::kFrame; next = splitter.TakeFrame(&frame)) {
      for (const std::byte each : frame) {
        sum += std::to_integer<uint64_t>(each);
      }
    }
    if (next == nandu::StreamSplitter::Next::kBad) {
      break;
    }
  }
  volatile uint64_t seen = sum;
  static_cast<void>(seen);
  return 0;
}

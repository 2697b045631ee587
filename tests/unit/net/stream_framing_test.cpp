#include "net/stream_framing.h"

#include <cstring>
#include <gtest/gtest.h>
#include <string>

namespace nandu {
namespace {

std::string Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
std::string Framed(const std::string& frame) { return Text(StreamLength(frame.size())) + frame; }

void Feed(StreamSplitter* splitter, std::string_view bytes) {
  const std::span<std::byte> room = splitter->Room();
  ASSERT_GE(room.size(), bytes.size());
  std::memcpy(room.data(), bytes.data(), bytes.size());
  splitter->Filled(bytes.size());
}

TEST(StreamFraming, LengthIsBigEndian) {
  EXPECT_EQ(Text(StreamLength(0x01020304)), "\x01\x02\x03\x04");
}

TEST(StreamFraming, FramesThatComeTogetherAreTakenApart) {
  StreamSplitter splitter;
  Feed(&splitter, Framed("first") + Framed("") + Framed("second"));
  std::span<const std::byte> frame;
  ASSERT_EQ(splitter.TakeFrame(&frame), StreamSplitter::Next::kFrame);
  EXPECT_EQ(Text(frame), "first");
  ASSERT_EQ(splitter.TakeFrame(&frame), StreamSplitter::Next::kFrame);
  EXPECT_EQ(Text(frame), "second");
  EXPECT_EQ(splitter.TakeFrame(&frame), StreamSplitter::Next::kMore);
}

TEST(StreamFraming, AFrameMayComeByteByByte) {
  StreamSplitter splitter;
  std::span<const std::byte> frame;
  const std::string bytes = Framed("slow");
  for (size_t i = 0; i + 1 < bytes.size(); ++i) {
    Feed(&splitter, bytes.substr(i, 1));
    ASSERT_EQ(splitter.TakeFrame(&frame), StreamSplitter::Next::kMore) << i;
  }
  Feed(&splitter, bytes.substr(bytes.size() - 1));
  ASSERT_EQ(splitter.TakeFrame(&frame), StreamSplitter::Next::kFrame);
  EXPECT_EQ(Text(frame), "slow");
}

TEST(StreamFraming, TheLongestFrameFitsWhereverItBegins) {
  StreamSplitter splitter;
  const std::string longest = Framed(std::string(kMaxStreamFrameBytes, 'x'));
  std::span<const std::byte> frame;
  Feed(&splitter, Framed("a"));
  ASSERT_EQ(splitter.TakeFrame(&frame), StreamSplitter::Next::kFrame);
  size_t taken = 0;
  for (size_t at = 0, turn = 0; turn < 40; ++turn) {
    const std::span<std::byte> room = splitter.Room();
    ASSERT_FALSE(room.empty());
    const size_t count = std::min({room.size(), longest.size() - at, size_t{7001}});
    std::memcpy(room.data(), longest.data() + at, count);
    splitter.Filled(count);
    at = (at + count) % longest.size();
    while (splitter.TakeFrame(&frame) == StreamSplitter::Next::kFrame) {
      ASSERT_EQ(frame.size(), kMaxStreamFrameBytes);
      ++taken;
    }
  }
  EXPECT_GE(taken, 3U);
}

TEST(StreamFraming, AnImpossibleLengthIsBad) {
  StreamSplitter splitter;
  Feed(&splitter, Text(StreamLength(kMaxStreamFrameBytes + 1)));
  std::span<const std::byte> frame;
  EXPECT_EQ(splitter.TakeFrame(&frame), StreamSplitter::Next::kBad);
}

}  // namespace
}  // namespace nandu

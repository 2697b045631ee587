// The bytes between a port's two threads.
#include "devices/virtio/console/console_pipe.h"

#include <algorithm>
#include <array>
#include <gtest/gtest.h>
#include <memory>
#include <string>

#include "loop/control_loop.h"
#include "loop/io_loop.h"

namespace nandu {
namespace {

std::span<const std::byte> Bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

struct Wakes {
  int host = 0;
  int guest = 0;
  ConsolePipe pipe{[this] { ++host; }, [this] { ++guest; }};
};

TEST(ConsolePipe, WakesTheHostForTheFirstByteOnly) {
  Wakes wakes;
  EXPECT_EQ(wakes.pipe.PushToHost(Bytes("one")), 3U);
  EXPECT_EQ(wakes.pipe.PushToHost(Bytes("two")), 3U);
  EXPECT_EQ(wakes.host, 1);
}

TEST(ConsolePipe, TakesWhatFitsAndWakesTheGuestWhenThereIsRoom) {
  Wakes wakes;
  const std::string flood(ConsolePipe::kCapacity + 10, 'x');
  EXPECT_EQ(wakes.pipe.PushToHost(Bytes(flood)), ConsolePipe::kCapacity);
  EXPECT_EQ(wakes.guest, 0);
  EXPECT_FALSE(wakes.pipe.DrainToHost([](std::span<const std::byte>) { return size_t{1}; }));
  EXPECT_EQ(wakes.guest, 1);
  EXPECT_EQ(wakes.pipe.PushToHost(Bytes("yz")), 1U);
}

TEST(ConsolePipe, NothingMovesWhileFrozen) {
  Wakes wakes;
  wakes.pipe.SetGuestReading(true);
  wakes.pipe.PushToHost(Bytes("kept"));
  wakes.pipe.SetFrozen(ConsolePipe::Freeze::kYes);
  EXPECT_EQ(wakes.pipe.RoomForGuest(), 0U);
  bool written = false;
  EXPECT_TRUE(wakes.pipe.DrainToHost([&](std::span<const std::byte> bytes) {
    written = true;
    return bytes.size();
  }));
  EXPECT_FALSE(written);
  EXPECT_EQ(wakes.pipe.SaveToHost().size(), 4U);
}

TEST(ConsolePipe, NobodyReadingTakesNothing) {
  Wakes wakes;
  EXPECT_EQ(wakes.pipe.RoomForGuest(), 0U);
  wakes.pipe.SetGuestReading(true);
  EXPECT_EQ(wakes.pipe.RoomForGuest(), ConsolePipe::kCapacity);
}

// A megabyte each way between an I/O loop and a control loop.
struct TwoThreads {
  static constexpr size_t kBytes = 1 << 20;
  const std::unique_ptr<ControlLoop> control = ControlLoop::Create().value();
  const std::unique_ptr<IoLoop> io = IoLoop::Create("test", {}).value();
  std::string to_host;   // control loop
  size_t for_guest = 0;  // given, control loop
  size_t sent = 0;       // I/O loop
  std::string at_guest;  // I/O loop
  ConsolePipe pipe{[this] { control->Post([this] { Host(); }); }, [this] { io->Post([this] { Guest(); }); }};

  static char Pattern(size_t i) { return static_cast<char>(i * 31 >> 3); }
  static std::string Piece(size_t from) {
    std::string piece(std::min<size_t>(3000, kBytes - from), '\0');
    for (size_t i = 0; i < piece.size(); ++i) {
      piece[i] = Pattern(from + i);
    }
    return piece;
  }
  void Host() {
    pipe.DrainToHost([this](std::span<const std::byte> bytes) {
      to_host.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return bytes.size();
    });
    while (for_guest < kBytes && pipe.RoomForGuest() > 0) {
      const std::string piece = Piece(for_guest);
      const size_t count = std::min(piece.size(), pipe.RoomForGuest());
      pipe.PushForGuest(Bytes(piece).first(count));
      for_guest += count;
    }
  }
  void Guest() {
    std::array<std::byte, 5000> into;
    while (const size_t got = pipe.TakeForGuest(into)) {
      at_guest.append(reinterpret_cast<const char*>(into.data()), got);
    }
    while (sent < kBytes) {
      const std::string piece = Piece(sent);
      const size_t taken = pipe.PushToHost(Bytes(piece));
      sent += taken;
      if (taken < piece.size()) {
        break;
      }
    }
    if (sent == kBytes && at_guest.size() == kBytes) {
      control->Post([this] { control->Stop(); });  // after what was pushed has been drained
    }
  }
};

TEST(ConsolePipe, CarriesEveryByteBetweenTwoThreads) {
  TwoThreads both;
  ASSERT_TRUE(both.io->Start());
  both.pipe.SetGuestReading(true);
  both.io->Post([&] { both.Guest(); });
  both.control->Run();
  both.io->Stop();
  both.Host();
  EXPECT_EQ(both.to_host.size(), TwoThreads::kBytes);
  std::string expected(TwoThreads::kBytes, '\0');
  for (size_t i = 0; i < expected.size(); ++i) {
    expected[i] = TwoThreads::Pattern(i);
  }
  EXPECT_TRUE(both.to_host == expected);
  EXPECT_TRUE(both.at_guest == expected);
}

}  // namespace
}  // namespace nandu

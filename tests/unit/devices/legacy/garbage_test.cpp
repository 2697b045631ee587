// Whatever a guest writes wherever it likes: nothing breaks, every device still answers, and what it saves
// can be loaded again.
#include <algorithm>
#include <gtest/gtest.h>
#include <random>

#include "devices/legacy/legacy_ports.h"
#include "state/document.h"
#include "state/state.h"
#include "support/legacy_board.h"

namespace nandu {
namespace {

// What an IOAPIC may rely on: a message never leaves the local APICs' range, and routed pins only send
// theirs.
struct Processors final : IoApicOutput {
  void SetRoute(unsigned pin, const std::optional<MsiMessage>& message) override { routes.at(pin) = message; }
  void Send(const MsiMessage& message) override {
    EXPECT_EQ(message.address & ~uint64_t{0xffff4}, 0xfee00000u);
    EXPECT_NE(std::ranges::find(routes, std::optional(message)), routes.end());
  }
  bool IsHeld(uint8_t /*vector*/) override { return true; }
  std::array<std::optional<MsiMessage>, IoApic::kPins> routes;
};

using Board = LegacyBoard<Processors>;

// Lines of the controllers, and what processors tell them.
void Interrupt(Board& board, std::mt19937& random) {
  const auto number = static_cast<unsigned>(random() % 32);
  const bool high = random() % 2 != 0;
  board.pic->SetLine(number, high);
  board.ioapic->SetPin(number, high);
  board.ioapic->EndOfInterrupt(static_cast<uint8_t>(random()));
  if (high) {
    static_cast<void>(board.pic->Acknowledge());
  }
}

// One access somewhere on the board.
void Poke(Board& board, std::mt19937& random) {
  constexpr std::array<uint16_t, 18> kPorts = {0x00,
                                               0x20,
                                               0x40,
                                               0x60,
                                               0x70,
                                               0x92,
                                               0xa0,
                                               0xb2,
                                               0xd0,
                                               0x3f8,
                                               0x4d0,
                                               0x600,
                                               0x660,
                                               0x700,
                                               0xcf8,
                                               0x5658,
                                               Board::kAhciPorts + 16,
                                               0x80};
  constexpr std::array<uint64_t, 4> kIoApic = {0xfec00000, 0xfec00010, 0xfec00040, 0xfec00080};
  const unsigned size = 1u << random() % 4;
  const uint64_t value = uint64_t{random()} << 32 | random();
  const auto port = static_cast<uint16_t>(kPorts[random() % kPorts.size()] + random() % 16);
  switch (random() % 14) {
    case 11:
      static_cast<void>(board.host.memory.Write(Board::kAhciRegisters + random() % 0x400 / 4 * 4, size,
                                                random() % 2 != 0 ? value : 0x17));
      break;
    case 12: board.host.memory.Read(Board::kAhciRegisters + random() % 0x1000, size); break;
    case 13:
      // A backdoor command that exists, more often than not.
      board.backdoor->now = {
          0x564d5868, random() % 3 != 0 ? 0x45414552 : random() % 8, 36 + random() % 8, 0, 0, 0};
      board.host.io.Read(0x5658, 4);
      break;
    case 0: board.host.memory.Read(0xfed00000 + random() % 0x400, size); break;
    case 1: static_cast<void>(board.host.memory.Write(0xfed00000 + random() % 0x400, size, value)); break;
    case 2: static_cast<void>(board.host.memory.Write(0xfed1c000 + random() % 0x4000, size, value)); break;
    case 3:
      static_cast<void>(board.bus->WriteConfig(0, 0xf8, static_cast<uint16_t>(random() % 64 * 4), 4,
                                               static_cast<uint32_t>(value)));
      break;
    case 4: board.host.io.Read(port, size > 4 ? 4 : size); break;
    case 5:
      board.terminal->Type("x");
      board.host.loop.RunReady();
      break;
    case 7: Interrupt(board, random); break;
    case 8: static_cast<void>(board.host.memory.Write(kIoApic[random() % 4], 4, value & 0xffffffff)); break;
    case 9: board.host.memory.Read(kIoApic[random() % 4], 4); break;
    case 6: board.host.fake_clock.Advance(static_cast<int64_t>(random() % 100'000)); break;
    default: static_cast<void>(board.host.io.Write(port, size > 4 ? 4 : size, value));
  }
}

TEST(Garbage, WhatAGuestWroteCanAlwaysBeSavedAndLoaded) {
  std::mt19937 random(20240229);  // NOLINT: the same garbage in every run
  Board board;
  for (unsigned round = 0; round < 40; round++) {
    for (unsigned i = 0; i < 1000; i++) {
      Poke(board, random);
    }
    Board copy;
    for (size_t i = 0; i < board.devices().size(); i++) {
      Device& from = *board.devices()[i];
      Device& to = *copy.devices()[i];
      from.Quiesce([] {});
      to.Quiesce([] {});
      const auto bytes = Saved(from);
      const Result<> loaded = LoadInto(to, bytes);
      ASSERT_TRUE(loaded) << from.driver() << ": " << loaded.error().message;
      EXPECT_EQ(Saved(to), bytes) << from.driver();
      from.Resume();
    }
  }
}

TEST(Garbage, ResetAfterItGivesAFreshBoard) {
  std::mt19937 random(7);  // NOLINT
  Board board;
  for (unsigned i = 0; i < 20'000; i++) {
    Poke(board, random);
  }
  for (Device* const device : board.devices()) {
    device->Reset();
  }
  board.lpc->SetUpAsFirmware();
  board.SetUp();
  EXPECT_EQ(board.host.memory.Read(Board::kAhciRegisters + 0x118, 4), 6u);
  EXPECT_EQ(In(board.host, 0x700), 0x00);
  EXPECT_EQ(In(board.host, 0x09), 0xff);
  EXPECT_EQ(board.host.io.Read(0x672, 2), 4u);
  EXPECT_EQ(In(board.host, 0x64), 0x18);
  EXPECT_EQ(In(board.host, 0x3f8 + 1), 0x00);
  EXPECT_EQ(board.host.io.Read(0x604, 2), 0u);
  EXPECT_EQ(board.host.memory.Read(0xfed00010, 8), 0u);
  // An 8254 that nobody has programmed has its output high.
  for (unsigned irq = 1; irq < 16; irq++) {
    EXPECT_FALSE(board.host.isa[irq].level()) << irq;
  }
  EXPECT_FALSE(board.intr.level());
  for (const std::optional<MsiMessage>& route : board.processors.routes) {
    EXPECT_FALSE(route);
  }
}

}  // namespace
}  // namespace nandu

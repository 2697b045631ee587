// The card on its bus: identity, BARs, ports and window, firmware's chore, state, and whatever a guest
// writes.
#include "devices/display/vga_card.h"

#include <boost/json/object.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

#include "devices/display/vga_mmio.h"
#include "devices/display/vga_text_mode.h"
#include "devices/pci/pci_bus.h"
#include "state/document.h"
#include "state/state.h"
#include "support/fake_host.h"
#include "unit/devices/display/vga_modes.h"

namespace nandu {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kMemory = 0xe0000000;
constexpr uint32_t kRegisters = 0xe8000000;
constexpr uint32_t kRom = 0xe8100000;
constexpr uint8_t kDevfn = 0x08;

// A BIOS of 8 KiB whose shapes begin at 1000h: code N is N on every line, but for the two that every font
// has.
std::vector<uint8_t> BiosWithFont() {
  std::vector<uint8_t> rom(8 << 10, 0xee);
  for (unsigned i = 0; i < kTextFontBytes; i++) {
    rom[0x1000 + i] = static_cast<uint8_t>(i / 16);
  }
  const std::array<uint8_t, 16> face = {0,    0,    0x7e, 0x81, 0xa5, 0x81, 0x81, 0xbd,
                                        0x99, 0x81, 0x81, 0x7e, 0,    0,    0,    0};
  std::copy(face.begin(), face.end(), rom.begin() + 0x1010);
  return rom;
}

struct Board {
  explicit Board(const VgaCardOptions& options = {}, VgaCard::Kind kind = VgaCard::Kind::kPrimary) {
    host.firmware_files["vgabios-stdvga.bin"] = BiosWithFont();
    host.buses[""] = &bus;
    card = VgaCard::Create(host, "card", options, kind).value();
    SetUp();
  }
  PciBus::Options RootOptions() {
    PciBus::Options options;
    options.id = "pcie.0";
    options.spaces = {&host.memory, &host.io};
    return options;
  }
  void SetConfig(uint16_t reg, uint32_t value) {
    static_cast<void>(bus.WriteConfig(0, kDevfn, reg, 4, value));
  }
  uint32_t Config(uint16_t reg) { return bus.ReadConfig(0, kDevfn, reg, 4); }
  void SetUp() {  // the first slot is the host bridge's
    SetConfig(0x10, kMemory);
    SetConfig(0x18, kRegisters);
    SetConfig(0x30, kRom);
    SetConfig(0x04, 3);
  }
  void Out(unsigned port, uint8_t value) { static_cast<void>(host.io.Write(port, 1, value)); }
  OutByte out() {
    return [this](unsigned port, uint8_t value) { Out(port, value); };
  }
  void SetVbe(uint16_t width, uint16_t height, uint16_t bpp) {
    for (const auto& [index, value] : {std::pair{4U, 0U},
                                       {1U, unsigned{width}},
                                       {2U, unsigned{height}},
                                       {3U, unsigned{bpp}},
                                       {4U, 0x41U}}) {
      static_cast<void>(host.io.Write(0x1ce, 2, index));
      static_cast<void>(host.io.Write(0x1cf, 2, value));
    }
  }
  Picture Shown() {
    Picture picture;
    card->display()->Draw(&picture);
    return picture;
  }
  std::vector<std::byte> Saved() const {
    StateDocument document;
    card->Save(StateWriter(document, "/d"));
    return document.Serialize();
  }
  Result<> Load(const std::vector<std::byte>& bytes) {
    const StateDocument document = TRY(StateDocument::Parse(bytes));
    return card->Load(StateReader(document, "/d"));
  }

  FakeHost host;
  PciBus bus{RootOptions()};
  PciFunction bridge{"bridge", PciIdentity{}, false};
  bool attached = bus.Attach(bridge, 0).has_value();
  std::unique_ptr<VgaCard> card;
};

// As `qemu-system-x86_64 -device VGA` shows them.
TEST(VgaCard, IdentityAndBarsAreQemus) {
  Board board;
  EXPECT_EQ(board.card->pci()->devfn(), kDevfn);
  EXPECT_EQ(board.Config(0x00), 0x11111234u);
  EXPECT_EQ(board.Config(0x08), 0x03000002u);
  EXPECT_EQ(board.Config(0x2c), 0x11001af4u);
  EXPECT_EQ(board.Config(0x34), 0u);
  EXPECT_EQ(board.Config(0x3c), 0u);
  for (const uint16_t reg :
       {uint16_t{0x10}, uint16_t{0x14}, uint16_t{0x18}, uint16_t{0x1c}, uint16_t{0x30}}) {
    board.SetConfig(reg, ~0U);
  }
  EXPECT_EQ(board.Config(0x10), 0xff000008u);
  EXPECT_EQ(board.Config(0x14), 0u);
  EXPECT_EQ(board.Config(0x18), 0xfffff000u);
  EXPECT_EQ(board.Config(0x1c), 0u);
  EXPECT_EQ(board.Config(0x30), 0xffffe001u) << "a BIOS of 8 KiB";
}

TEST(VgaCard, RegistersAreInTheBarAsWell) {
  Board board;
  EXPECT_EQ(board.host.memory.Read(kRegisters, 8), 0x00ffffffffffff00u) << "EDID";
  EXPECT_EQ(board.host.memory.Read(kRegisters + 0x100, 4), 0u);
  EXPECT_EQ(board.host.memory.Read(kRegisters + 0x180, 4), 0xffffffffu);
  // An index and its data in one write.
  static_cast<void>(board.host.memory.Write(kRegisters + 0x400 + 4, 2, 0x0a02));
  EXPECT_EQ(board.host.memory.Read(kRegisters + 0x400 + 5, 1), 0x0au);
  EXPECT_EQ(board.host.memory.Read(kRegisters + 0x500, 2), 0xb0c5u);
  static_cast<void>(board.host.memory.Write(kRegisters + 0x502, 2, 800));
  EXPECT_EQ(board.host.memory.Read(kRegisters + 0x502, 2), 800u);
  EXPECT_EQ(board.host.memory.Read(kRegisters + 0x600, 4), 8u);
  EXPECT_EQ(board.host.memory.Read(kRegisters + 0x604, 4), 0x1e1e1e1eu);
  static_cast<void>(board.host.memory.Write(kRegisters + 0x604, 4, 0xbebebebe));
  EXPECT_EQ(board.host.memory.Read(kRegisters + 0x604, 4), 0xbebebebeu);
  static_cast<void>(board.host.memory.Write(kRegisters + 0x604, 4, 0x12345678));
  EXPECT_EQ(board.host.memory.Read(kRegisters + 0x604, 4), 0xbebebebeu);
}

TEST(VgaCard, BochsPortsAreSixteenBitsWide) {
  Board board;
  static_cast<void>(board.host.io.Write(0x1ce, 2, 0));
  EXPECT_EQ(board.host.io.Read(0x1cf, 2), 0xb0c5u);
  EXPECT_EQ(board.host.io.Read(0x1d0, 2), 0xb0c5u);
  EXPECT_EQ(board.host.io.Read(0x1cf, 1), 0xffu);
}

TEST(VgaCard, TheWindowIsPlainMemoryWhereTheCardMayLetGoOfIt) {
  Board board;
  const auto kind = [&board] { return board.host.memory.view()->Find(0xa0000)->kind; };
  EXPECT_EQ(kind(), Region::Kind::kIo);
  SetMode(board.out(), LinearMode());
  EXPECT_EQ(kind(), Region::Kind::kRam);
  EXPECT_EQ(board.host.memory.view()->Find(0xb0000)->kind, Region::Kind::kIo) << "64 KiB of it";
  static_cast<void>(board.host.memory.Write(0xa0005, 1, 0x5a));
  EXPECT_EQ(board.host.memory.Read(kMemory + 5, 1), 0x5au);
  SetIndexed(board.out(), vga::kSequencerIndex, vga::kMapMask, 1);
  EXPECT_EQ(kind(), Region::Kind::kIo);
  board.SetVbe(640, 480, 32);
  static_cast<void>(board.host.io.Write(0x1ce, 2, 5));
  static_cast<void>(board.host.io.Write(0x1cf, 2, 2));
  static_cast<void>(board.host.memory.Write(0xa0000, 4, 0x01020304));
  EXPECT_EQ(board.host.memory.Read(kMemory + 0x20000, 4), 0x01020304u);
  EXPECT_EQ(kind(), Region::Kind::kRam);
  board.card->Reset();
  EXPECT_EQ(kind(), Region::Kind::kIo);
}

TEST(VgaCard, WhatTheGuestWritesIsShown) {
  Board board;
  board.Out(0x3c2, 1);
  static_cast<void>(board.host.io.Read(0x3da, 1));
  board.Out(0x3c0, 0x20);
  board.SetVbe(64, 32, 32);
  static_cast<void>(board.host.memory.Write(kMemory + 4 * 65, 4, 0x00abcdef));
  const Picture picture = board.Shown();
  EXPECT_EQ(picture.width, 64u);
  EXPECT_EQ(picture.height, 32u);
  EXPECT_EQ(picture.row(1)[1], 0xabcdefu);
  board.SetVbe(64, 32, 32);
  EXPECT_EQ(board.Shown().row(1)[1], 0u) << "setting a mode clears it";
}

TEST(VgaCard, TheScreenOutlivesTheCard) {
  auto board = std::make_unique<Board>();
  const std::shared_ptr<Display> display = board->card->display();
  EXPECT_EQ(display->device_id(), "card");
  board.reset();
  Picture picture;
  display->Draw(&picture);
  EXPECT_EQ(picture.width, 640u);
}

TEST(VgaCard, AKernelWithoutFirmwareFindsTextModeWithTheBiosShapes) {
  Board board;
  ASSERT_TRUE(board.card->HasTextFont());
  board.card->SetUpAsFirmware();
  static_cast<void>(board.host.memory.Write(0xb8000, 2, 0x0c41));  // bright red on black
  const Picture picture = board.Shown();
  ASSERT_EQ(picture.width, 720u);
  ASSERT_EQ(picture.height, 400u);
  const uint8_t shape = 0x41;
  for (unsigned dot = 0; dot < 8; dot++) {
    EXPECT_EQ(picture.row(7)[dot], (shape >> (7 - dot) & 1) != 0 ? 0xff5757u : 0u) << dot;
  }
  static_cast<void>(board.host.memory.Write(0xb8002, 2, 0x1620));  // brown on blue
  EXPECT_EQ(board.Shown().row(0)[9], 0x0000a8u);
}

TEST(VgaCard, WithoutABiosThereIsNoText) {
  VgaCardOptions options;
  options.romfile = "";
  Board board(options);
  EXPECT_FALSE(board.card->HasTextFont());
  board.SetConfig(0x30, ~0U);
  EXPECT_EQ(board.Config(0x30), 0u);
}

TEST(VgaCard, ASecondaryCardHasRegistersInItsBarAlone) {
  Board board({}, VgaCard::Kind::kSecondary);
  EXPECT_EQ(board.Config(0x08), 0x03800002u);
  EXPECT_EQ(board.host.io.view()->Find(0x3c0), nullptr);
  EXPECT_EQ(board.host.memory.view()->Find(0xa0000), nullptr);
  static_cast<void>(board.host.memory.Write(kRegisters + 0x400, 1, 0x20));
  for (const auto& [at, value] : {std::pair{2U, 64U}, {4U, 32U}, {6U, 32U}, {8U, 0x41U}}) {
    static_cast<void>(board.host.memory.Write(kRegisters + 0x500 + at, 2, value));
  }
  static_cast<void>(board.host.memory.Write(kMemory, 4, 0x123456));
  EXPECT_EQ(board.Shown().row(0)[0], 0x123456u);
}

TEST(VgaCard, OptionsAreQemusAndWrongOnesSayWhy) {
  Board board;
  EXPECT_THAT(VgaCard::Create(board.host, "other", {}, VgaCard::Kind::kPrimary).error().message,
              HasSubstr("use secondary-vga for another screen"));
  const auto error = [&board](const boost::json::object& options) {
    const auto made = SecondaryVgaFactory().create(board.host, "x", options);
    return made ? std::string() : made.error().message;
  };
  EXPECT_THAT(error({{"vgamem_mb", "0"}}), HasSubstr("1 to 512 MiB"));
  EXPECT_THAT(error({{"xres", "9999"}}), HasSubstr("xres="));
  EXPECT_THAT(error({{"refresh_rate", "0"}}), HasSubstr("refresh_rate=0"));
  EXPECT_THAT(error({{"mmio", "off"}}), HasSubstr("mmio"));
  EXPECT_EQ(error({{"vgamem_mb", "9"}, {"edid", "off"}, {"big-endian-framebuffer", "on"}}), "");
}

TEST(VgaCard, MemoryIsAPowerOfTwo) {
  VgaCardOptions options;
  options.vgamem_mb = 9;
  Board board(options);
  board.SetConfig(0x10, ~0U);
  EXPECT_EQ(board.Config(0x10), 0xff000008u);
}

// ---- whatever a guest writes ----

void Poke(Board& board, std::mt19937& random) {
  const unsigned size = 1U << random() % 4;
  const uint64_t value = uint64_t{random()} << 32 | random();
  switch (random() % 8) {
    case 0: static_cast<void>(board.host.io.Read(0x3b0 + random() % 0x30, size > 4 ? 4 : size)); break;
    case 1:
    case 2:
      static_cast<void>(board.host.io.Write(0x3b0 + random() % 0x30, size > 4 ? 4 : size, value));
      break;
    case 3:
      static_cast<void>(board.host.io.Write(0x1ce, 2, random() % 12));
      static_cast<void>(board.host.io.Write(0x1cf, 2, random() % 2 != 0 ? value : value & 0x3ff));
      break;
    case 4: static_cast<void>(board.host.memory.Write(0xa0000 + random() % 0x20000, size, value)); break;
    case 5: static_cast<void>(board.host.memory.Read(0xa0000 + random() % 0x20000, size)); break;
    case 6: static_cast<void>(board.host.memory.Write(kRegisters + random() % 0x620, size, value)); break;
    default: static_cast<void>(board.host.memory.Read(kRegisters + random() % 0x1000, size));
  }
}

TEST(VgaCard, WhatAGuestWroteCanBeDrawnSavedAndLoaded) {
  std::mt19937 random(42);  // NOLINT: the same garbage in every run
  VgaCardOptions options;
  options.vgamem_mb = 1;
  Board board(options);
  for (unsigned round = 0; round < 60; round++) {
    for (unsigned i = 0; i < 300; i++) {
      Poke(board, random);
    }
    EXPECT_FALSE(board.Shown().pixels.empty());
    Board copy(options);
    const std::vector<std::byte> bytes = board.Saved();
    const Result<> loaded = copy.Load(bytes);
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(copy.Saved(), bytes);
    EXPECT_EQ(copy.host.memory.view()->Find(0xa0000)->kind, board.host.memory.view()->Find(0xa0000)->kind);
  }
  board.card->Reset();
  Board fresh(options);
  board.SetUp();
  EXPECT_EQ(board.Saved(), fresh.Saved());
}

}  // namespace
}  // namespace nandu

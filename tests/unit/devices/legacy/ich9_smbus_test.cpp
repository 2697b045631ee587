// What QEMU 7.2's controller answers to the same accesses stands in these tests: it was asked through qtest.
#include "devices/legacy/ich9_smbus.h"

#include <gtest/gtest.h>

#include "devices/legacy/legacy_ports.h"
#include "support/fake_pci.h"

namespace nandu {
namespace {

constexpr uint16_t kBase = 0x700;
constexpr uint8_t kDone = 0x02;
constexpr uint8_t kError = 0x04;
constexpr uint8_t kByteDone = 0x80;
enum Protocol : unsigned { kQuick, kByte, kByteData, kWordData, kProcessCall, kBlock, kI2cRead };

struct SmbusBoard {
  SmbusBoard() { smbus->SetUpAsFirmware(); }
  uint32_t Config(uint16_t reg, unsigned size) { return pci.root.ReadConfig(0, 0xfb, reg, size); }
  void SetConfig(uint16_t reg, unsigned size, uint32_t value) {
    EXPECT_EQ(pci.root.WriteConfig(0, 0xfb, reg, size, value).token(), nullptr);
  }
  uint8_t Get(uint16_t offset) { return static_cast<uint8_t>(pci.io.Read(kBase + offset, 1)); }
  void Set(uint16_t offset, unsigned value) {
    EXPECT_EQ(pci.io.Write(kBase + offset, 1, value).token(), nullptr);
  }
  // One command by polling: the status it ends with.
  uint8_t Run(uint8_t address, bool read, uint8_t command, Protocol protocol, unsigned control = 0) {
    Set(0, 0xff);
    Set(4, address << 1 | (read ? 1 : 0));
    Set(3, command);
    Set(2, 0x40 | protocol << 2 | control);
    if ((control & 1) == 0) {
      EXPECT_EQ(Get(0) & 1, 1) << "busy once";
    }
    return Get(0);
  }
  uint8_t ReadByte(uint8_t address, uint8_t command) {
    EXPECT_EQ(Run(address, true, command, kByteData), kDone);
    return Get(5);
  }
  FakeIrqLine& line() { return pci.lines.at(3); }  // slot 31, pin A: (31 + 0) % 4

  FakePciBoard pci;
  std::unique_ptr<Ich9Smbus> smbus = Ich9Smbus::Create(pci.root).value();
};

class Smbus : public testing::Test {
 protected:
  Smbus() {
    // As SetUpPci does: decode.
    board_.SetConfig(4, 2, 1);
  }
  SmbusBoard board_;
};

TEST_F(Smbus, IsTheIch9sFunction) {
  EXPECT_EQ(board_.Config(0x00, 4), 0x29308086u);
  EXPECT_EQ(board_.Config(0x08, 4), 0x0c050002u);
  EXPECT_EQ(board_.Config(0x0e, 1), 0x80u);
  EXPECT_EQ(board_.Config(0x20, 4), 0x701u);
  EXPECT_EQ(board_.Config(0x2c, 4), 0x11001af4u);
  EXPECT_EQ(board_.Config(0x3d, 1), 1u);
  EXPECT_EQ(board_.Config(0x40, 4), 1u);
}

TEST_F(Smbus, EightEepromsWithNothingOnThem) {
  for (unsigned address = 0x50; address < 0x58; address++) {
    for (unsigned at = 0; at < 256; at++) {
      ASSERT_EQ(board_.ReadByte(static_cast<uint8_t>(address), static_cast<uint8_t>(at)), 0);
    }
  }
}

TEST_F(Smbus, NobodyAnswersElsewhere) {
  EXPECT_EQ(board_.Run(0x4f, false, 0, kQuick), kError);
  EXPECT_EQ(board_.Run(0x58, true, 0, kByteData), kError);
  EXPECT_EQ(board_.Run(0x00, true, 0, kByte), kError);
  EXPECT_EQ(board_.smbus->counters().failed_commands.value(), 3u);
  EXPECT_EQ(board_.Run(0x50, false, 0, kQuick), kDone);
}

TEST_F(Smbus, BytesAndWordsAreStored) {
  board_.Set(5, 0xab);
  EXPECT_EQ(board_.Run(0x50, false, 0x10, kByteData), kDone);
  EXPECT_EQ(board_.ReadByte(0x50, 0x10), 0xab);
  EXPECT_EQ(board_.ReadByte(0x51, 0x10), 0) << "another module";
  board_.Set(5, 0x34);
  board_.Set(6, 0x12);
  EXPECT_EQ(board_.Run(0x50, false, 0xff, kWordData), kDone);
  EXPECT_EQ(board_.ReadByte(0x50, 0xff), 0x34);
  EXPECT_EQ(board_.ReadByte(0x50, 0x00), 0x12) << "wraps around";
  EXPECT_EQ(board_.Run(0x50, true, 0xff, kWordData), kDone);
  EXPECT_EQ(board_.Get(5), 0x34);
  EXPECT_EQ(board_.Get(6), 0x12);
}

TEST_F(Smbus, SendSetsThePositionThatReceiveReads) {
  board_.Set(5, 0x77);
  EXPECT_EQ(board_.Run(0x50, false, 0x21, kByteData), kDone);
  EXPECT_EQ(board_.Run(0x50, false, 0x20, kByte), kDone);
  EXPECT_EQ(board_.Run(0x50, true, 0, kByte), kDone);
  EXPECT_EQ(board_.Get(5), 0);
  EXPECT_EQ(board_.Run(0x50, true, 0, kByte), kDone);
  EXPECT_EQ(board_.Get(5), 0x77);
}

TEST_F(Smbus, ProtocolsThatAreNotThereFail) {
  EXPECT_EQ(board_.Run(0x50, false, 0, kProcessCall), kError);
  EXPECT_EQ(board_.Run(0x50, false, 0, static_cast<Protocol>(7)), kError);
}

TEST_F(Smbus, ErrorThatIsNotClearedStopsTheNextCommand) {
  EXPECT_EQ(board_.Run(0x40, true, 0, kByteData), kError);
  board_.Set(4, 0xa1);
  board_.Set(2, 0x40 | kByteData << 2);
  board_.Get(0);
  EXPECT_EQ(board_.Get(0), kError);
}

TEST_F(Smbus, BufferedBlockIsWrittenWithItsLength) {
  board_.Set(0x0d, 2);
  for (const char c : {'h', 'e', 'l', 'l', 'o'}) {
    board_.Set(7, static_cast<unsigned char>(c));
  }
  board_.Set(5, 5);
  EXPECT_EQ(board_.Run(0x50, false, 0x20, kBlock), kDone);
  EXPECT_EQ(board_.ReadByte(0x50, 0x20), 5);
  EXPECT_EQ(board_.ReadByte(0x50, 0x21), 'h');
  EXPECT_EQ(board_.ReadByte(0x50, 0x25), 'o');
  EXPECT_EQ(board_.Run(0x50, true, 0x20, kBlock), kDone);
  EXPECT_EQ(board_.Get(5), 5);
  std::string read;
  for (int i = 0; i < 5; i++) {
    read += static_cast<char>(board_.Get(7));
  }
  EXPECT_EQ(read, "hello");
}

TEST_F(Smbus, BufferedBlockOfAnotherLengthThanWrittenFails) {
  board_.Set(0x0d, 2);
  board_.Set(7, 'x');
  board_.Set(5, 2);
  EXPECT_EQ(board_.Run(0x50, false, 0x20, kBlock), kError);
}

TEST_F(Smbus, BlockIsWrittenByteByByte) {
  board_.Set(7, 7);
  board_.Set(5, 3);
  EXPECT_EQ(board_.Run(0x50, false, 0x30, kBlock), kByteDone | 1);
  board_.Set(7, 8);
  board_.Set(0, 0x80);
  EXPECT_EQ(board_.Get(0), kByteDone | 1);
  board_.Set(7, 9);
  board_.Set(0, 0x80);
  EXPECT_EQ(board_.Get(0), kByteDone | 1);
  board_.Set(0, 0x80);
  EXPECT_EQ(board_.Get(0), kDone);
  EXPECT_EQ(board_.ReadByte(0x50, 0x30), 3);
  EXPECT_EQ(board_.ReadByte(0x50, 0x31), 7);
  EXPECT_EQ(board_.ReadByte(0x50, 0x32), 8);
  EXPECT_EQ(board_.ReadByte(0x50, 0x33), 9);
}

TEST_F(Smbus, I2cBlockIsReadByteByByte) {
  for (unsigned i = 0; i < 3; i++) {
    board_.Set(5, 0x11 * (i + 1));
    board_.Run(0x50, false, static_cast<uint8_t>(0x20 + i), kByteData);
  }
  board_.Set(6, 0x20);
  EXPECT_EQ(board_.Run(0x50, false, 0, kI2cRead), kByteDone | 1);
  EXPECT_EQ(board_.Get(7), 0x11);
  board_.Set(0, 0x80);
  EXPECT_EQ(board_.Get(0), kByteDone | 1);
  EXPECT_EQ(board_.Get(7), 0x22);
  board_.Set(2, 0x20 | kI2cRead << 2);  // the next one is the last
  board_.Set(0, 0x80);
  EXPECT_EQ(board_.Get(0), kDone);
  EXPECT_EQ(board_.Get(7), 0x33);
}

TEST_F(Smbus, KillEndsATransfer) {
  board_.Set(5, 3);
  EXPECT_EQ(board_.Run(0x50, false, 0x30, kBlock), kByteDone | 1);
  board_.Set(2, 2);
  EXPECT_EQ(board_.Get(0), 0x90);
  board_.Set(0, 0xff);
  EXPECT_EQ(board_.Get(0), 0);
}

TEST_F(Smbus, InterruptComesAtOnceAndGoesWithItsStatus) {
  EXPECT_EQ(board_.Run(0x50, true, 0, kByteData, 1), kDone);
  EXPECT_TRUE(board_.line().level());
  board_.Set(0, kDone);
  EXPECT_FALSE(board_.line().level());
}

TEST_F(Smbus, HostConfigurationTurnsItOffAndAbortsIt) {
  board_.Run(0x50, true, 0, kByteData, 1);
  board_.SetConfig(0x40, 1, 9);
  EXPECT_EQ(board_.Config(0x40, 1), 1u);
  EXPECT_EQ(board_.Get(0), 0);
  EXPECT_FALSE(board_.line().level());
  board_.SetConfig(0x40, 1, 0);
  EXPECT_EQ(board_.Get(0), 0xff);
  board_.Set(5, 1);
  EXPECT_EQ(board_.smbus->counters().ignored_accesses.value(), 2u);
}

TEST_F(Smbus, WideAccessIsItsBytes) {
  board_.Set(4, 0xa1);
  board_.Set(5, 3);
  board_.Set(6, 0x20);
  EXPECT_EQ(board_.pci.io.Read(kBase + 4, 4), 0x002003a1u);
}

TEST_F(Smbus, ResetTakesEverythingBack) {
  board_.Set(5, 0xab);
  board_.Run(0x50, false, 0x10, kByteData, 1);
  board_.smbus->Reset();
  EXPECT_FALSE(board_.line().level());
  EXPECT_EQ(board_.Config(0x40, 1), 0u);
  board_.smbus->SetUpAsFirmware();
  board_.SetConfig(4, 2, 1);
  EXPECT_EQ(board_.Get(5), 0);
  EXPECT_EQ(board_.ReadByte(0x50, 0x10), 0);
}

TEST_F(Smbus, SavedStateComesBackInTheMiddleOfABlock) {
  board_.Set(5, 0x55);
  board_.Run(0x57, false, 0x80, kByteData);
  board_.Set(6, 0x7f);
  board_.Run(0x57, false, 0, kI2cRead, 1);
  EXPECT_TRUE(board_.line().level());
  const auto bytes = Saved(*board_.smbus);
  SmbusBoard other;
  ASSERT_TRUE(LoadInto(*other.smbus, bytes));
  EXPECT_EQ(Saved(*other.smbus), bytes);
  other.smbus->Resume();
  EXPECT_TRUE(other.line().level());
  other.Set(0, 0x80);
  EXPECT_EQ(other.Get(7), 0x55);
}

TEST_F(Smbus, HostileStateIsRefused) {
  EXPECT_NE(LoadError(*board_.smbus, R"({"host": {"index": 33}})", "/smbus"), "");
  EXPECT_NE(LoadError(*board_.smbus, R"({"host": {"control": 64}})", "/smbus"), "");
  EXPECT_NE(LoadError(*board_.smbus, R"({"eeproms": []})", "/smbus"), "");
}

}  // namespace
}  // namespace nandu

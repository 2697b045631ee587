#include "devices/legacy/i8042.h"

#include <array>
#include <gtest/gtest.h>

#include "devices/legacy/legacy_ports.h"

namespace nandu {
namespace {

class KeyboardController : public testing::Test {
 protected:
  void Command(uint8_t value) { Out(host_, 0x64, value); }
  void Data(uint8_t value) { Out(host_, 0x60, value); }
  uint8_t Status() { return In(host_, 0x64); }
  uint8_t Read() { return In(host_, 0x60); }
  std::vector<int> ReadAll() {
    std::vector<int> bytes;
    while ((Status() & 1) != 0) {
      bytes.push_back(Read());
    }
    return bytes;
  }
  std::vector<int> Mouse(uint8_t value) {
    Command(0xd4);
    Data(value);
    return ReadAll();
  }
  std::vector<int> Keyboard(uint8_t value) {
    Data(value);
    return ReadAll();
  }
  FakeHost host_;
  std::unique_ptr<I8042> controller_ = I8042::Create(host_).value();
};

using Bytes = std::vector<int>;

TEST_F(KeyboardController, StatusAfterResetIsQemus) { EXPECT_EQ(Status(), 0x18); }

TEST_F(KeyboardController, FirmwareLeavesTranslationOnAndTheMousePortOff) {
  controller_->SetUpAsFirmware();
  EXPECT_EQ(Status(), 0x1c);
  Command(0x20);
  EXPECT_EQ(Read(), 0x61);
}

TEST_F(KeyboardController, SelfTestPassesAndSetsTheSystemFlag) {
  Command(0xaa);
  EXPECT_EQ(Status(), 0x1d);
  EXPECT_EQ(Read(), 0x55);
}

TEST_F(KeyboardController, PortTestsPass) {
  Command(0xab);
  EXPECT_EQ(Read(), 0x00);
  Command(0xa9);
  EXPECT_EQ(Read(), 0x00);
}

// What Linux's i8042 driver does: command byte back and forth, then the mouse port by its loop command.
TEST_F(KeyboardController, CommandByteIsReadBack) {
  Command(0x60);
  Data(0x74);
  Command(0x20);
  EXPECT_EQ(Read(), 0x74);
}

TEST_F(KeyboardController, MouseLoopReturnsTheByteAsTheMouses) {
  Command(0xd3);
  Data(0x5a);
  EXPECT_EQ(Status() & 0x21, 0x21);
  EXPECT_EQ(Read(), 0x5a);
}

TEST_F(KeyboardController, DisablingTheMousePortShowsInTheCommandByte) {
  Command(0xa7);
  Command(0x20);
  EXPECT_EQ(Read() & 0x20, 0x20);
  Command(0xa8);
  Command(0x20);
  EXPECT_EQ(Read() & 0x20, 0x00);
}

TEST_F(KeyboardController, KeyboardIdentifiesAndResets) {
  EXPECT_EQ(Keyboard(0xf2), (Bytes{0xfa, 0xab, 0x83}));
  EXPECT_EQ(Keyboard(0xff), (Bytes{0xfa, 0xaa}));
  EXPECT_EQ(Keyboard(0xee), (Bytes{0xee}));
}

TEST_F(KeyboardController, TranslationChangesTheIdentification) {
  Command(0x60);
  Data(0x41);
  EXPECT_EQ(Keyboard(0xf2), (Bytes{0xfa, 0xab, 0x41}));
}

TEST_F(KeyboardController, KeyboardTakesParameters) {
  EXPECT_EQ(Keyboard(0xed), (Bytes{0xfa}));
  EXPECT_EQ(Keyboard(0x02), (Bytes{0xfa}));
  EXPECT_EQ(Keyboard(0xf0), (Bytes{0xfa}));
  EXPECT_EQ(Keyboard(0x00), (Bytes{0xfa, 0x02}));
  EXPECT_EQ(Keyboard(0xf3), (Bytes{0xfa}));
  EXPECT_EQ(Keyboard(0x00), (Bytes{0xfa}));
}

TEST_F(KeyboardController, UnknownKeyboardCommandAsksToResend) { EXPECT_EQ(Keyboard(0x12), (Bytes{0xfe})); }

TEST_F(KeyboardController, MouseIdentifiesResetsAndTellsItsStatus) {
  EXPECT_EQ(Mouse(0xff), (Bytes{0xfa, 0xaa, 0x00}));
  EXPECT_EQ(Mouse(0xf2), (Bytes{0xfa, 0x00}));
  EXPECT_EQ(Mouse(0xe9), (Bytes{0xfa, 0x00, 0x02, 100}));
}

TEST_F(KeyboardController, KnockOfRatesMakesAWheelMouse) {
  for (const uint8_t rate : std::to_array<uint8_t>({200, 100, 80})) {
    Mouse(0xf3);
    Mouse(rate);
  }
  EXPECT_EQ(Mouse(0xf2), (Bytes{0xfa, 0x03}));
  for (const uint8_t rate : std::to_array<uint8_t>({200, 200, 80})) {
    Mouse(0xf3);
    Mouse(rate);
  }
  EXPECT_EQ(Mouse(0xf2), (Bytes{0xfa, 0x04}));
}

TEST_F(KeyboardController, KeyboardBytesRaiseInterrupt1EachOnce) {
  Data(0xf2);
  EXPECT_TRUE(host_.isa[1].level());
  ReadAll();
  EXPECT_FALSE(host_.isa[1].level());
  EXPECT_EQ(host_.isa[1].rises(), 3u);
}

TEST_F(KeyboardController, MouseBytesRaiseInterrupt12) {
  Mouse(0xf2);
  EXPECT_EQ(host_.isa[12].rises(), 2u);
  EXPECT_EQ(host_.isa[1].rises(), 0u);
}

TEST_F(KeyboardController, DisabledInterruptsStayLow) {
  Command(0x60);
  Data(0x00);
  Data(0xf2);
  EXPECT_EQ(Status() & 1, 1);
  EXPECT_FALSE(host_.isa[1].level());
}

TEST_F(KeyboardController, DisabledPortHoldsItsBytesBack) {
  Command(0xd4);
  Data(0xf2);
  Read();
  Command(0xa7);
  Read();
  EXPECT_EQ(Status() & 1, 0);
  Command(0xa8);
  EXPECT_EQ(Status() & 1, 0);
}

TEST_F(KeyboardController, PulseOfTheResetLineResets) {
  Command(0xfe);
  EXPECT_EQ(host_.asked, (std::vector<std::string>{"reset guest-reset"}));
}

TEST_F(KeyboardController, PulseOfOtherLinesDoesNot) {
  Command(0xff);
  EXPECT_TRUE(host_.asked.empty());
}

TEST_F(KeyboardController, OutputPortWithoutItsResetBitResets) {
  Command(0xd1);
  Data(0x02);
  EXPECT_EQ(host_.asked, (std::vector<std::string>{"reset guest-reset"}));
}

TEST_F(KeyboardController, A20IsRememberedByBothPorts) {
  Command(0xdd);
  Command(0xd0);
  EXPECT_EQ(Read() & 2, 0);
  Out(host_, 0x92, 0x02);
  Command(0xd0);
  EXPECT_EQ(Read() & 2, 2);
  EXPECT_EQ(In(host_, 0x92), 0x02);
}

TEST_F(KeyboardController, FastResetIsTheRisingEdge) {
  Out(host_, 0x92, 0x01);
  Out(host_, 0x92, 0x01);
  EXPECT_EQ(host_.asked, (std::vector<std::string>{"reset guest-reset"}));
}

TEST_F(KeyboardController, GuestThatNeverReadsFillsNothing) {
  for (unsigned i = 0; i < 1000; i++) {
    Data(0xf2);
    Command(0xd4);
    Data(0xff);
  }
  EXPECT_LE(ReadAll().size(), 1u + 2 * 16u);
}

TEST_F(KeyboardController, SavedStateComesBack) {
  Command(0x60);
  Data(0x47);
  Data(0xf2);
  Mouse(0xf4);
  Command(0xd4);
  Data(0xe9);
  const auto bytes = Saved(*controller_);
  FakeHost other;
  const auto copy = I8042::Create(other).value();
  ASSERT_TRUE(LoadInto(*copy, bytes));
  EXPECT_EQ(Saved(*copy), bytes);
  copy->Resume();
  EXPECT_EQ(other.isa[1].level(), host_.isa[1].level());
  EXPECT_EQ(other.isa[12].level(), host_.isa[12].level());
  EXPECT_EQ(In(other, 0x60), Read());
}

TEST_F(KeyboardController, HostileStateIsRefused) {
  EXPECT_NE(LoadError(*controller_, R"({"status": 1})"), "");
  EXPECT_NE(LoadError(*controller_, R"({"keyboard": {"scan-code-set": 9}})"), "");
  EXPECT_NE(LoadError(*controller_, R"({"mouse": {"type": 7}})"), "");
  EXPECT_NE(LoadError(*controller_, R"({"mouse": {"queue": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}})"),
            "");
}

}  // namespace
}  // namespace nandu

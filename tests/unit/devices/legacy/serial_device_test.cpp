#include "devices/legacy/serial_device.h"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <gtest/gtest.h>

#include "devices/legacy/legacy_ports.h"
#include "devices/legacy/uart_registers.h"

namespace nandu {
namespace {

using namespace uart;

constexpr uint16_t kCom1 = 0x3f8;

class Serial : public testing::Test {
 protected:
  uint8_t Get(unsigned reg) { return In(host_, static_cast<uint16_t>(kCom1 + reg)); }
  void Put(unsigned reg, uint8_t value) { Out(host_, static_cast<uint16_t>(kCom1 + reg), value); }
  FakeIrqLine& irq() { return host_.isa[4]; }

  FakeHost host_;
  std::shared_ptr<FakeChardev> terminal_ = host_.AddChardev("terminal");
  std::unique_ptr<SerialDevice> serial_ =
      SerialDevice::Create(host_, {.id = "serial0", .chardev = terminal_}).value();
};

TEST_F(Serial, ResetValuesAreTheChips) {
  EXPECT_EQ(Get(kInterruptEnable), 0x00);
  EXPECT_EQ(Get(kInterruptId), kIdNone);
  EXPECT_EQ(Get(kLineControl), 0x00);
  EXPECT_EQ(Get(kModemControl), 0x08);
  EXPECT_EQ(Get(kLineStatus), 0x60);
  EXPECT_EQ(Get(kModemStatus), 0xb0);
  EXPECT_EQ(Get(kScratch), 0x00);
}

TEST_F(Serial, WrittenBytesReachTheTerminalInOrder) {
  Put(kData, 'h');
  Put(kData, 'i');
  host_.loop.RunReady();
  EXPECT_EQ(terminal_->TakeWritten(), "hi");
}

TEST_F(Serial, TransmitterIsEmptyOnlyWhenTheTerminalTookEverything) {
  Put(kData, 'x');
  EXPECT_EQ(Get(kLineStatus) & kTransmitterEmpty, 0);
  EXPECT_EQ(Get(kLineStatus) & kTransmitHoldingEmpty, kTransmitHoldingEmpty);
  host_.loop.RunReady();
  EXPECT_EQ(Get(kLineStatus) & kTransmitterEmpty, kTransmitterEmpty);
}

TEST_F(Serial, StuckTerminalClearsHoldingEmptyAndLosesNothing) {
  terminal_->SetWriteRoom(0);
  std::string sent;
  while ((Get(kLineStatus) & kTransmitHoldingEmpty) != 0) {
    for (unsigned i = 0; i < kFifoBytes; i++) {
      sent += static_cast<char>('a' + sent.size() % 26);
      Put(kData, static_cast<uint8_t>(sent.back()));
    }
    host_.loop.RunReady();
  }
  EXPECT_EQ(sent.size(), Uart::kQueueBytes);
  terminal_->SetWriteRoom(100'000);
  host_.loop.RunReady();
  EXPECT_EQ(terminal_->TakeWritten(), sent);
  EXPECT_EQ(Get(kLineStatus), 0x60);
  EXPECT_EQ(serial_->counters().transmit_overruns.value(), 0u);
}

TEST_F(Serial, WritingWithoutRoomIsCountedAndDropped) {
  terminal_->SetWriteRoom(0);
  for (size_t i = 0; i < Uart::kQueueBytes + 3; i++) {
    Put(kData, 'x');
  }
  EXPECT_EQ(serial_->counters().transmit_overruns.value(), 3u);
}

TEST_F(Serial, TransmitInterruptComesAtOnceWhenItIsEnabled) {
  Put(kInterruptEnable, kEnableTransmit);
  EXPECT_TRUE(irq().level());
  EXPECT_EQ(Get(kInterruptId), kIdTransmit);
  EXPECT_FALSE(irq().level());
  EXPECT_EQ(Get(kInterruptId), kIdNone);
}

// Linux's test for chips that do not raise it again (8250_port.c, UART_BUG_THRE).
TEST_F(Serial, TransmitInterruptComesAgainWhenItIsEnabledAgain) {
  Put(kInterruptEnable, kEnableTransmit);
  Get(kInterruptId);
  Put(kInterruptEnable, 0);
  Put(kInterruptEnable, kEnableTransmit);
  EXPECT_EQ(Get(kInterruptId), kIdTransmit);
}

TEST_F(Serial, TransmitInterruptComesOncePerBatch) {
  Put(kInterruptEnable, kEnableTransmit);
  Get(kInterruptId);
  const unsigned before = irq().rises();
  Put(kData, 'a');
  Put(kData, 'b');
  EXPECT_FALSE(irq().level());
  host_.loop.RunReady();
  EXPECT_TRUE(irq().level());
  EXPECT_EQ(irq().rises(), before + 1);
}

TEST_F(Serial, ReceivedByteRaisesTheInterruptUntilItIsRead) {
  Put(kInterruptEnable, kEnableReceive);
  terminal_->Type("k");
  EXPECT_TRUE(irq().level());
  EXPECT_EQ(Get(kLineStatus) & kDataReady, kDataReady);
  EXPECT_EQ(Get(kInterruptId), kIdReceive);
  EXPECT_EQ(Get(kData), 'k');
  EXPECT_FALSE(irq().level());
}

TEST_F(Serial, WithoutFifoOneByteIsTakenAtATime) {
  terminal_->Type("abc");
  EXPECT_EQ(Get(kData), 'a');
  host_.loop.RunReady();
  EXPECT_EQ(Get(kData), 'b');
  host_.loop.RunReady();
  EXPECT_EQ(Get(kData), 'c');
  EXPECT_EQ(terminal_->undelivered(), 0u);
}

TEST_F(Serial, FifoTakesSixteenAndTheRestWaits) {
  Put(kInterruptId, kFifoEnable);
  terminal_->Type("0123456789abcdefXYZ");
  EXPECT_EQ(terminal_->undelivered(), 3u);
  std::string got;
  while ((Get(kLineStatus) & kDataReady) != 0) {
    got += static_cast<char>(Get(kData));
    host_.loop.RunReady();
  }
  EXPECT_EQ(got, "0123456789abcdefXYZ");
}

TEST_F(Serial, FifoBelowItsTriggerInterruptsAfterFourCharacterTimes) {
  Put(kInterruptId, kFifoEnable | 0xc0);  // trigger at 14
  Put(kInterruptEnable, kEnableReceive);
  terminal_->Type("ab");
  EXPECT_FALSE(irq().level());
  host_.fake_clock.Advance(50'000'000);
  EXPECT_TRUE(irq().level());
  EXPECT_EQ(Get(kInterruptId), kIdTimeout | kIdFifos);
  Get(kData);
  EXPECT_FALSE(irq().level());
}

TEST_F(Serial, FifoAtItsTriggerInterruptsAtOnce) {
  Put(kInterruptId, kFifoEnable | 0x40);  // trigger at 4
  Put(kInterruptEnable, kEnableReceive);
  terminal_->Type("abc");
  EXPECT_FALSE(irq().level());
  terminal_->Type("d");
  EXPECT_EQ(Get(kInterruptId), kIdReceive | kIdFifos);
}

TEST_F(Serial, FifoIsClearedByItsControlBit) {
  Put(kInterruptId, kFifoEnable);
  terminal_->Type("abc");
  Put(kInterruptId, kFifoEnable | kFifoClearReceive);
  EXPECT_EQ(Get(kLineStatus) & kDataReady, 0);
}

TEST_F(Serial, LoopbackReturnsDataAndModemLines) {
  Put(kModemControl, kLoopback | kRts | kOut2);
  EXPECT_EQ(Get(kModemStatus) & 0xf0, kCts | kCarrier);
  Put(kData, 0x5a);
  EXPECT_EQ(Get(kData), 0x5a);
  host_.loop.RunReady();
  EXPECT_EQ(terminal_->written(), "");
}

// Linux's autoconfig looks for a 16550A this way.
TEST_F(Serial, LinuxFindsA16550A) {
  Put(kModemControl, kLoopback | 0x0a);
  EXPECT_EQ(Get(kModemStatus) & 0xf0, 0x90);
  Put(kModemControl, 0x08);
  Put(kInterruptId, kFifoEnable);
  EXPECT_EQ(Get(kInterruptId) >> 6, 3);
}

TEST_F(Serial, BreakIsALineStatusInterrupt) {
  Put(kInterruptEnable, kEnableLineStatus);
  terminal_->Break();
  EXPECT_EQ(Get(kInterruptId), kIdLineStatus);
  EXPECT_EQ(Get(kLineStatus) & (kBreak | kDataReady), kBreak | kDataReady);
  EXPECT_FALSE(irq().level());
  EXPECT_EQ(Get(kData), 0);
}

TEST_F(Serial, DivisorLatchHidesDataAndInterruptEnable) {
  Put(kLineControl, kDivisorLatch | 3);
  EXPECT_EQ(Get(0), 0x0c);
  Put(0, 0x01);
  Put(1, 0x02);
  EXPECT_EQ(Get(0), 0x01);
  EXPECT_EQ(Get(1), 0x02);
  Put(kLineControl, 3);
  EXPECT_EQ(Get(kInterruptEnable), 0);
  host_.loop.RunReady();
  EXPECT_EQ(terminal_->written(), "");
}

TEST_F(Serial, WideAccessIsItsBytes) {
  Out(host_, kCom1 + kScratch - 1, 0xabcd, 2);
  EXPECT_EQ(Get(kScratch), 0xab);
}

TEST_F(Serial, QuiescedPortTakesAndGivesNothing) {
  Put(kData, 'x');
  serial_->Quiesce([] {});
  host_.loop.RunReady();
  terminal_->Type("y");
  EXPECT_EQ(terminal_->written(), "");
  EXPECT_EQ(terminal_->undelivered(), 1u);
  serial_->Resume();
  host_.loop.RunReady();
  EXPECT_EQ(terminal_->written(), "x");
  EXPECT_EQ(Get(kData), 'y');
}

TEST_F(Serial, QuiescedBetweenWriteAndInterruptStillInterruptsAfterwards) {
  Put(kInterruptEnable, kEnableTransmit);
  Get(kInterruptId);
  Put(kData, 'x');
  serial_->Quiesce([] {});
  host_.loop.RunReady();
  serial_->Resume();
  host_.loop.RunReady();
  EXPECT_TRUE(irq().level());
}

TEST_F(Serial, SavedStateComesBackWithItsQueues) {
  Put(kInterruptId, kFifoEnable);
  Put(kInterruptEnable, kEnableReceive);
  Put(kScratch, 0x77);
  terminal_->Type("in");
  serial_->Quiesce([] {});
  Put(kData, 'o');
  const auto bytes = Saved(*serial_);

  FakeHost other;
  const auto far_end = other.AddChardev("terminal");
  const auto copy = SerialDevice::Create(other, {.id = "serial0", .chardev = far_end}).value();
  copy->Quiesce([] {});
  ASSERT_TRUE(LoadInto(*copy, bytes));
  EXPECT_EQ(Saved(*copy), bytes);
  copy->Resume();
  other.loop.RunReady();
  EXPECT_TRUE(other.isa[4].level());
  EXPECT_EQ(far_end->written(), "o");
  EXPECT_EQ(In(other, kCom1 + kData), 'i');
  EXPECT_EQ(In(other, kCom1 + kScratch), 0x77);
}

TEST_F(Serial, HostileStateIsRefused) {
  EXPECT_NE(
      LoadError(*serial_, R"({"received": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]})").find("its FIFO 16"),
      std::string::npos);
  EXPECT_NE(LoadError(*serial_, R"({"divisor": 65536})"), "");
  EXPECT_NE(LoadError(*serial_, R"({"nonsense": 1})"), "");
}

TEST_F(Serial, ResetForgetsEverythingButWhatIsOnItsWay) {
  Put(kInterruptEnable, kEnableReceive);
  terminal_->Type("a");
  serial_->Reset();
  EXPECT_FALSE(irq().level());
  EXPECT_EQ(Get(kInterruptEnable), 0);
  EXPECT_EQ(Get(kLineStatus), 0x60);
}

TEST_F(Serial, DestroyedPortLeavesItsPortsAndItsTerminal) {
  Put(kData, 'x');
  serial_.reset();
  host_.loop.RunReady();
  EXPECT_FALSE(terminal_->attached());
  EXPECT_EQ(Get(kLineStatus), 0xff);
}

TEST_F(Serial, TerminalInUseIsAnError) {
  EXPECT_EQ(SerialDevice::Create(host_, {.id = "s", .index = 1, .chardev = terminal_}).error().message,
            "chardev 'terminal' is already in use");
}

TEST(SerialWithoutTerminal, BytesVanishAndTheTransmitterStaysEmpty) {
  FakeHost host;
  const auto serial = SerialDevice::Create(host, {.id = "s", .index = 1}).value();
  Out(host, 0x2f8, 'x');
  host.loop.RunReady();
  EXPECT_EQ(In(host, 0x2f8 + kLineStatus), 0x60);
}

// ---- -device isa-serial ----

TEST(IsaSerialFactory, TakesTheFirstFreePort) {
  FakeHost host;
  const auto first = SerialDevice::Create(host, {.id = "s"}).value();
  const auto terminal = host.AddChardev("c");
  const auto second = IsaSerialFactory().create(host, "s2", {{"chardev", "c"}}).value();
  Out(host, 0x2f8, 'x');
  host.loop.RunReady();
  EXPECT_EQ(terminal->written(), "x");
  EXPECT_EQ(second->StatePath(), "/machine/isa/serial1");
}

TEST(IsaSerialFactory, HonoursIndexBaseAndInterrupt) {
  FakeHost host;
  const auto terminal = host.AddChardev("c");
  const auto device =
      IsaSerialFactory()
          .create(host, "s", {{"chardev", "c"}, {"index", "2"}, {"iobase", "0x300"}, {"irq", "5"}})
          .value();
  Out(host, 0x301, kEnableTransmit);
  EXPECT_TRUE(host.isa[5].level());
}

TEST(IsaSerialFactory, BadPropertiesAreSentences) {
  FakeHost host;
  host.AddChardev("c");
  EXPECT_EQ(IsaSerialFactory().create(host, "s", {}).error().message,
            "isa-serial needs chardev=ID; make one with -chardev");
  EXPECT_EQ(IsaSerialFactory().create(host, "s", {{"chardev", "nobody"}}).error().message,
            "there is no chardev 'nobody'");
  EXPECT_EQ(IsaSerialFactory().create(host, "s", {{"chardev", "c"}, {"index", 4}}).error().message,
            "index=4 is out of range; serial ports are 0 to 3");
  EXPECT_EQ(IsaSerialFactory().create(host, "s", {{"chardev", "c"}, {"irq", 16}}).error().message,
            "irq=16 is out of range; ISA interrupts are 0 to 15");
  EXPECT_NE(
      IsaSerialFactory().create(host, "s", {{"chardev", "c"}, {"idnex", 1}}).error().message.find("index"),
      std::string::npos);
}

}  // namespace
}  // namespace nandu

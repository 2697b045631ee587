#include "devices/legacy/ich9_lpc.h"

#include <gtest/gtest.h>

#include "devices/legacy/legacy_ports.h"
#include "devices/pci/pci_bus.h"
#include "support/fake_memory.h"

namespace nandu {
namespace {

constexpr uint16_t kPm = 0x600;
constexpr int64_t kSecondNs = 1'000'000'000;

// A board with nothing but a root bus and the LPC bridge.
struct Board {
  Board() { lpc = Ich9Lpc::Create(host, bus, Gsis()).value(); }
  Ich9Lpc::Gsis Gsis() {
    Ich9Lpc::Gsis lines;
    for (unsigned i = 0; i < IrqRouter::kPirqs; i++) {
      lines[i] = std::make_unique<FakeIrqShare>(gsi[i]);
    }
    return lines;
  }
  uint32_t Config(uint16_t reg, unsigned size) { return bus.ReadConfig(0, 0xf8, reg, size); }
  void SetConfig(uint16_t reg, unsigned size, uint32_t value) {
    EXPECT_EQ(bus.WriteConfig(0, 0xf8, reg, size, value).token(), nullptr);
  }
  uint64_t Pm(uint16_t offset, unsigned size) { return host.io.Read(kPm + offset, size); }
  void SetPm(uint16_t offset, unsigned size, uint64_t value) {
    Out(host, static_cast<uint16_t>(kPm + offset), value, size);
  }

  FakeHost host;
  std::array<FakeIrqLine, IrqRouter::kPirqs> gsi;
  std::shared_ptr<FakeIoHandler> config_ports = std::make_shared<FakeIoHandler>();
  Mapping config_mapping = host.io.Map(0xcf8, Region::Io(config_ports, 8)).value();
  PciBus bus{RootBus(host)};
  std::unique_ptr<Ich9Lpc> lpc;
};

class Lpc : public testing::Test {
 protected:
  Lpc() { board_.lpc->SetUpAsFirmware(); }
  Board board_;
  FakeIrqLine& sci() { return board_.host.isa[9]; }
};

TEST_F(Lpc, IsTheIch9sBridge) {
  EXPECT_EQ(board_.Config(0x00, 4), 0x29188086u);
  EXPECT_EQ(board_.Config(0x08, 4), 0x06010002u);
  EXPECT_EQ(board_.Config(0x0e, 1), 0x80u);
  EXPECT_EQ(board_.Config(0x2c, 4), 0x11001af4u);
}

TEST_F(Lpc, FirmwareSetUpIsSeaBiossOnQemu) {
  EXPECT_EQ(board_.Config(0x40, 4), 0x601u);
  EXPECT_EQ(board_.Config(0x44, 1), 0x80u);
  EXPECT_EQ(board_.Config(0x60, 4), 0x0b0b0a0au);
  EXPECT_EQ(board_.Config(0x68, 4), 0x0b0b0a0au);
  EXPECT_EQ(board_.Config(0xf0, 4), 0xfed1c001u);
}

TEST_F(Lpc, ResetUndoesWhatFirmwareSet) {
  board_.lpc->Reset();
  EXPECT_EQ(board_.Config(0x40, 4), 0x1u);
  EXPECT_EQ(board_.Config(0x60, 4), 0x80808080u);
  EXPECT_EQ(board_.Pm(0, 2), 0xffffu);
  board_.lpc->SetUpAsFirmware();
  EXPECT_EQ(board_.Pm(0, 2), 0u);
}

TEST_F(Lpc, EnablesTheDecodersOfThePortsThatAreThere) {
  const Mapping second_serial =
      board_.host.io.Map(0x2f8, Region::Io(std::make_shared<FakeIoHandler>(), 8)).value();
  board_.lpc->Reset();
  EXPECT_EQ(board_.Config(0x80, 4), 0x00020000u);
}

TEST_F(Lpc, GuestMovesThePowerManagementBlock) {
  board_.SetConfig(0x40, 4, 0xb001);
  EXPECT_EQ(board_.Pm(0, 2), 0xffffu);
  EXPECT_EQ(board_.host.io.Read(0xb000, 2), 0u);
  board_.SetConfig(0x44, 1, 0);
  EXPECT_EQ(board_.host.io.Read(0xb000, 2), 0xffffu);
}

TEST_F(Lpc, RootComplexRegistersAreAtRcba) {
  EXPECT_EQ(board_.host.memory.Read(0xfed1c000 + 0x3140, 2), 0x3210u);
  EXPECT_EQ(board_.host.memory.Read(0xfed1c000 + 0x3410, 4), 0x20u);
  board_.SetConfig(0xf0, 4, 0);
  EXPECT_EQ(board_.host.memory.Read(0xfed1c000 + 0x3140, 2), 0xffffu);
}

// ---- ACPI power management ----

TEST_F(Lpc, SmiCommandSwitchesAcpiModeOnAndOff) {
  Out(board_.host, 0xb2, 2);
  EXPECT_EQ(board_.Pm(4, 2), 1u);
  Out(board_.host, 0xb2, 3);
  EXPECT_EQ(board_.Pm(4, 2), 0u);
  Out(board_.host, 0xb3, 0x5a);
  EXPECT_EQ(In(board_.host, 0xb3), 0x5a);
}

TEST_F(Lpc, PowerButtonRaisesTheSciUntilItsStatusIsCleared) {
  board_.SetPm(2, 2, 0x100);
  board_.lpc->PressPowerButton();
  EXPECT_TRUE(sci().level());
  EXPECT_EQ(board_.Pm(0, 2), 0x100u);
  board_.SetPm(0, 2, 0x100);
  EXPECT_FALSE(sci().level());
  EXPECT_EQ(board_.Pm(0, 2), 0u);
}

TEST_F(Lpc, PowerButtonNobodyEnabledIsRemembered) {
  board_.lpc->PressPowerButton();
  EXPECT_FALSE(sci().level());
  board_.SetPm(2, 2, 0x100);
  EXPECT_TRUE(sci().level());
}

TEST_F(Lpc, SoftOffAsksForShutdown) {
  board_.SetPm(4, 2, 1 << 13 | 0 << 10);
  EXPECT_EQ(board_.host.asked, (std::vector<std::string>{"shutdown guest-shutdown"}));
  EXPECT_EQ(board_.Pm(4, 2) & 1u << 13, 0u);
}

TEST_F(Lpc, SuspendToDiskAsksForShutdown) {
  board_.SetPm(4, 2, 1 << 13 | 2 << 10);
  EXPECT_EQ(board_.host.asked, (std::vector<std::string>{"shutdown guest-shutdown"}));
}

TEST_F(Lpc, SleepTypeWithoutEnableDoesNothing) {
  board_.SetPm(4, 2, 0 << 10);
  EXPECT_TRUE(board_.host.asked.empty());
}

TEST_F(Lpc, SleepThatIsNotOfferedIsCounted) {
  board_.SetPm(4, 2, 1 << 13 | 1 << 10);
  EXPECT_TRUE(board_.host.asked.empty());
  EXPECT_EQ(board_.lpc->counters().ignored_sleeps.value(), 1u);
}

TEST_F(Lpc, PowerManagementTimerCountsAtItsRate) {
  board_.host.fake_clock.Advance(kSecondNs);
  EXPECT_EQ(board_.Pm(8, 4), 3'579'545u);
  EXPECT_EQ(board_.Pm(8, 2), 3'579'545u & 0xffff);
  EXPECT_EQ(board_.Pm(10, 1), 3'579'545u >> 16);
  board_.host.fake_clock.Advance(4 * kSecondNs);
  EXPECT_EQ(board_.Pm(8, 4), 5 * 3'579'545u & 0xffffff);
}

TEST_F(Lpc, TimerStatusIsSetWhenItsHighestBitChanges) {
  board_.host.fake_clock.Advance(2'343'000'000);  // 0x800000 ticks are 2.3434... s
  EXPECT_EQ(board_.Pm(0, 2), 0u);
  board_.host.fake_clock.Advance(1'000'000);
  EXPECT_EQ(board_.Pm(0, 2), 1u);
  board_.SetPm(0, 2, 1);
  EXPECT_EQ(board_.Pm(0, 2), 0u);
}

TEST_F(Lpc, TimerInterruptComesWithoutPolling) {
  board_.SetPm(2, 2, 1);
  board_.host.fake_clock.Advance(2'344'000'000);
  EXPECT_TRUE(sci().level());
  board_.SetPm(0, 2, 1);
  EXPECT_FALSE(sci().level());
  board_.host.fake_clock.Advance(2'344'000'000);
  EXPECT_TRUE(sci().level());
}

TEST_F(Lpc, GeneralPurposeEventRaisesTheSci) {
  board_.SetPm(0x28, 1, 0x02);
  board_.lpc->RaiseGpe(1);
  EXPECT_EQ(board_.Pm(0x20, 1), 0x02u);
  EXPECT_TRUE(sci().level());
  board_.SetPm(0x20, 1, 0x02);
  EXPECT_FALSE(sci().level());
}

// ---- reset control ----

TEST_F(Lpc, ResetControlResets) {
  Out(board_.host, 0xcf9, 0x02);
  EXPECT_EQ(In(board_.host, 0xcf9), 0x02);
  Out(board_.host, 0xcf9, 0x06);
  EXPECT_EQ(board_.host.asked, (std::vector<std::string>{"reset guest-reset"}));
}

TEST_F(Lpc, ConfigurationAddressThatCoversTheResetPortReachesTheHostBridgeWhole) {
  Out(board_.host, 0xcf8, 0x80000604, 4);
  EXPECT_TRUE(board_.host.asked.empty());
  EXPECT_EQ(board_.config_ports->writes, (std::vector<FakeIoHandler::Done>{{0, 4, 0x80000604}}));
  Out(board_.host, 0xcfe, 0x1234, 2);
  EXPECT_EQ(board_.config_ports->writes.back(), (FakeIoHandler::Done{6, 2, 0x1234}));
}

// ---- interrupt routing ----

TEST_F(Lpc, PirqDrivesItsIoApicInputAndTheLineOfItsRegister) {
  board_.lpc->SetPirq(0, true);
  EXPECT_TRUE(board_.gsi[0].level());
  EXPECT_TRUE(board_.host.isa[10].level());
  board_.lpc->SetPirq(0, false);
  EXPECT_FALSE(board_.gsi[0].level());
  EXPECT_FALSE(board_.host.isa[10].level());
}

TEST_F(Lpc, LinesRoutedTogetherAreORed) {
  board_.lpc->SetPirq(0, true);
  board_.lpc->SetPirq(1, true);
  board_.lpc->SetPirq(0, false);
  EXPECT_TRUE(board_.host.isa[10].level());
  board_.lpc->SetPirq(1, false);
  EXPECT_FALSE(board_.host.isa[10].level());
}

TEST_F(Lpc, ReroutedPirqMovesItsLevel) {
  board_.lpc->SetPirq(4, true);
  board_.SetConfig(0x68, 1, 0x05);
  EXPECT_FALSE(board_.host.isa[10].level());
  EXPECT_TRUE(board_.host.isa[5].level());
  board_.SetConfig(0x68, 1, 0x80);
  EXPECT_FALSE(board_.host.isa[5].level());
  EXPECT_TRUE(board_.gsi[4].level());
}

TEST_F(Lpc, SciSharesItsLineWithPirqs) {
  board_.SetConfig(0x60, 1, 0x09);
  board_.SetPm(2, 2, 0x100);
  board_.lpc->PressPowerButton();
  board_.lpc->SetPirq(0, true);
  board_.SetPm(0, 2, 0x100);
  EXPECT_TRUE(sci().level());
  board_.lpc->SetPirq(0, false);
  EXPECT_FALSE(sci().level());
}

TEST_F(Lpc, SciFollowsItsSelection) {
  board_.SetPm(2, 2, 0x100);
  board_.lpc->PressPowerButton();
  board_.SetConfig(0x44, 1, 0x84);
  EXPECT_FALSE(sci().level());
  EXPECT_TRUE(board_.gsi[4].level());
}

TEST_F(Lpc, PirqRoutedToAReservedLineGoesNowhere) {
  board_.SetConfig(0x60, 1, 0x08);
  board_.lpc->SetPirq(0, true);
  EXPECT_FALSE(board_.host.isa[8].level());
}

// ---- state ----

TEST_F(Lpc, SavedStateComesBack) {
  board_.SetPm(2, 2, 0x101);
  board_.SetPm(0x28, 4, 0x12345678);
  board_.SetConfig(0x60, 1, 0x05);
  board_.SetConfig(0x40, 4, 0xb001);
  Out(board_.host, 0xb2, 2);
  Out(board_.host, 0xcf9, 0x02);
  board_.lpc->PressPowerButton();
  const auto bytes = Saved(*board_.lpc);
  Board other;
  ASSERT_TRUE(LoadInto(*other.lpc, bytes));
  EXPECT_EQ(Saved(*other.lpc), bytes);
  other.lpc->Resume();
  EXPECT_TRUE(other.host.isa[9].level());
  EXPECT_EQ(other.host.io.Read(0xb000, 2), 0x100u);
  other.lpc->SetPirq(0, true);
  EXPECT_TRUE(other.host.isa[5].level());
}

TEST_F(Lpc, HostileStateIsRefused) {
  EXPECT_NE(LoadError(*board_.lpc, R"({"pm": {"pm1-status": 70000}})", "/lpc"), "");
}

}  // namespace
}  // namespace nandu

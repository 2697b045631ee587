// The watchdog behind the LPC bridge. What QEMU 7.2 answers to the same accesses stands in these tests: it
// was asked through qtest.
#include "devices/legacy/tco.h"

#include <gtest/gtest.h>

#include "devices/legacy/ich9_lpc.h"
#include "devices/legacy/legacy_ports.h"

namespace nandu {
namespace {

constexpr uint16_t kTco = 0x660;
constexpr uint64_t kGcs = 0xfed1f410;
constexpr int64_t kTickNs = 600'000'000;
enum Register : uint16_t {
  kReload = 0,
  kDataIn = 2,
  kDataOut = 3,
  kStatus1 = 4,
  kStatus2 = 6,
  kControl1 = 8,
  kControl2 = 0xa,
  kTimer = 0x12
};

struct TcoBoard {
  explicit TcoBoard(Ich9Lpc::NoReboot strap = Ich9Lpc::NoReboot::kOff) {
    Ich9Lpc::Gsis gsis;
    for (unsigned i = 0; i < IrqRouter::kPirqs; i++) {
      gsis[i] = std::make_unique<FakeIrqShare>(gsi[i]);
    }
    lpc = Ich9Lpc::Create(host, bus, std::move(gsis), strap).value();
    lpc->SetUpAsFirmware();
  }
  uint16_t Get(uint16_t offset) { return static_cast<uint16_t>(host.io.Read(kTco + offset, 2)); }
  void Set(uint16_t offset, uint16_t value) { Out(host, static_cast<uint16_t>(kTco + offset), value, 2); }
  void AllowReboot() { EXPECT_EQ(host.memory.Write(kGcs, 4, 0).token(), nullptr); }
  void Ticks(int64_t ticks) { host.fake_clock.Advance(ticks * kTickNs); }

  FakeHost host;
  std::array<FakeIrqLine, IrqRouter::kPirqs> gsi;
  PciBus bus{RootBus(host)};
  std::unique_ptr<Ich9Lpc> lpc;
};

TEST(Tco, RegistersAfterPowerOn) {
  TcoBoard board;
  for (const unsigned offset : {0x0, 0x2, 0x4, 0x6, 0x8, 0xc, 0xe, 0x14}) {
    EXPECT_EQ(board.Get(static_cast<uint16_t>(offset)), 0) << offset;
  }
  EXPECT_EQ(board.Get(kControl2), 8);
  EXPECT_EQ(board.Get(0x10), 3);
  EXPECT_EQ(board.Get(kTimer), 4);
  EXPECT_EQ(board.host.io.Read(kTco + 8, 4), 0x80000u);
  EXPECT_EQ(In(board.host, kTco + 0xb), 0) << "a register answers at its own port";
}

TEST(Tco, RegistersKeepWhatTheyCan) {
  TcoBoard board;
  board.Set(kControl1, 0xffff);
  EXPECT_EQ(board.Get(kControl1), 0xfeff);
  board.Set(kControl1, 0);
  EXPECT_EQ(board.Get(kControl1), 0x1000) << "locked until a reset";
  board.Set(kStatus1, 0xffff);
  EXPECT_EQ(board.Get(kStatus1), 0xe870);
  board.Set(kStatus2, 0xffff);
  EXPECT_EQ(board.Get(kStatus2), 0xfff8);
  board.Set(0xc, 0xffff);
  EXPECT_EQ(board.Get(0xc), 0xff);
  board.Set(0x14, 0xffff);
  EXPECT_EQ(board.Get(0x14), 0);
  EXPECT_EQ(board.lpc->tco_counters().ignored_accesses.value(), 2u);
}

TEST(Tco, DataRegistersTellTheirStatus) {
  TcoBoard board;
  Out(board.host, kTco + kDataIn, 0x5a);
  EXPECT_EQ(board.Get(kStatus1), 2);
  EXPECT_EQ(In(board.host, kTco + kDataIn), 0x5a);
  board.Set(kStatus1, 2);
  EXPECT_EQ(board.Get(kStatus1), 0);
  Out(board.host, kTco + kDataOut, 1);
  EXPECT_EQ(board.Get(kStatus1), 4);
}

TEST(Tco, CountsDownAndReloads) {
  TcoBoard board;
  board.Set(kTimer, 5);
  board.Set(kReload, 1);
  EXPECT_EQ(board.Get(kReload), 5);
  board.Ticks(2);
  EXPECT_EQ(board.Get(kReload), 3);
  board.Set(kReload, 1);
  EXPECT_EQ(board.Get(kReload), 5);
  board.Ticks(5);
  EXPECT_EQ(board.Get(kStatus1), 8);
  EXPECT_EQ(board.Get(kReload), 5) << "it goes on";
}

TEST(Tco, SecondExpiryResetsWhereTheBoardLetsIt) {
  TcoBoard board;
  board.AllowReboot();
  board.Set(kReload, 1);
  board.Ticks(4);
  EXPECT_TRUE(board.host.asked.empty());
  board.Ticks(4);
  EXPECT_EQ(board.host.asked, (std::vector<std::string>{"watchdog expired"}));
  EXPECT_EQ(board.Get(kStatus2), 6);
  board.Ticks(100);
  EXPECT_EQ(board.host.asked.size(), 1u) << "it stands";
  EXPECT_EQ(board.host.fake_clock.armed(), 0u);
}

TEST(Tco, GuestThatReloadsIsLeftAlone) {
  TcoBoard board;
  board.AllowReboot();
  for (int i = 0; i < 10; i++) {
    board.Set(kReload, 1);
    board.Ticks(6);
  }
  EXPECT_TRUE(board.host.asked.empty());
  EXPECT_EQ(board.lpc->tco_counters().expirations.value(), 10u);
}

TEST(Tco, NothingComesOfItWhereGcsOrTheStrapSaySo) {
  TcoBoard by_gcs;
  EXPECT_EQ(by_gcs.host.memory.Read(kGcs, 4), 0x20u);
  by_gcs.Set(kReload, 1);
  by_gcs.Ticks(20);
  EXPECT_TRUE(by_gcs.host.asked.empty());
  EXPECT_EQ(by_gcs.Get(kStatus2), 6);

  TcoBoard by_strap(Ich9Lpc::NoReboot::kOn);
  by_strap.AllowReboot();
  EXPECT_EQ(by_strap.host.memory.Read(kGcs, 4), 0u) << "a driver finds that it may";
  by_strap.Set(kReload, 1);
  by_strap.Ticks(20);
  EXPECT_TRUE(by_strap.host.asked.empty());
  EXPECT_EQ(by_strap.host.fake_clock.armed(), 1u) << "and it goes on counting";
}

TEST(Tco, HaltStopsIt) {
  TcoBoard board;
  board.Set(kReload, 1);
  board.Set(kControl1, 0x800);
  board.Ticks(100);
  EXPECT_EQ(board.Get(kStatus1), 0);
  EXPECT_EQ(board.Get(kReload), 4);
  board.Set(kControl1, 0);
  board.Ticks(4);
  EXPECT_EQ(board.Get(kStatus1), 8);
}

TEST(Tco, TimerOfOneTickNeverRuns) {
  TcoBoard board;
  board.Set(kTimer, 1);
  board.Set(kReload, 7);
  EXPECT_EQ(board.Get(kReload), 7);
  EXPECT_EQ(board.host.fake_clock.armed(), 0u);
}

TEST(Tco, PeriodThatBecomesNothingStopsIt) {
  TcoBoard board;
  board.Set(kReload, 1);
  board.Set(kTimer, 0x400);
  board.Ticks(100);
  EXPECT_EQ(board.lpc->tco_counters().expirations.value(), 1u);
  board.Set(kReload, 1);
  EXPECT_EQ(board.host.fake_clock.armed(), 0u);
}

TEST(Tco, MovesWithThePowerManagementBlock) {
  TcoBoard board;
  EXPECT_EQ(board.bus.WriteConfig(0, 0xf8, 0x40, 4, 0xb001).token(), nullptr);
  EXPECT_EQ(board.host.io.Read(0xb060 + kTimer, 2), 4u);
  EXPECT_EQ(board.host.io.Read(kTco + kTimer, 2), 0xffffu);
}

TEST(Tco, ResetForgetsAllButItsCause) {
  TcoBoard board;
  board.AllowReboot();
  board.Set(kTimer, 2);
  board.Set(kControl1, 0x1000);
  board.Ticks(4);
  EXPECT_EQ(board.host.asked.size(), 1u);
  board.lpc->Reset();
  board.lpc->SetUpAsFirmware();
  EXPECT_EQ(board.Get(kStatus2), 6);
  EXPECT_EQ(board.Get(kStatus1), 0);
  EXPECT_EQ(board.Get(kControl1), 0);
  EXPECT_EQ(board.Get(kTimer), 4);
  EXPECT_EQ(board.host.memory.Read(kGcs, 4), 0x20u);
}

TEST(Tco, SavedWatchdogGoesOn) {
  TcoBoard board;
  board.AllowReboot();
  board.Set(kReload, 1);
  board.Ticks(5);
  const auto bytes = Saved(*board.lpc);
  TcoBoard other;
  other.Ticks(5);  // the VM clock travels with the machine
  ASSERT_TRUE(LoadInto(*other.lpc, bytes));
  EXPECT_EQ(Saved(*other.lpc), bytes);
  EXPECT_EQ(other.Get(kReload), 3);
  other.Ticks(3);
  EXPECT_EQ(other.host.asked, (std::vector<std::string>{"watchdog expired"}));
}

TEST(Tco, HostileStateIsRefused) {
  EXPECT_FALSE(Validate(TcoState{.expirations = 2}));
  EXPECT_FALSE(Validate(TcoState{.deadline_ns = -2}));
  EXPECT_TRUE(Validate(TcoState{}));
}

}  // namespace
}  // namespace nandu

// What QEMU 7.2's function without drives answers to the same accesses stands in these tests: it was asked
// through qtest.
#include "devices/legacy/ich9_ahci.h"

#include <gtest/gtest.h>

#include "devices/legacy/legacy_ports.h"
#include "support/fake_memory.h"

namespace nandu {
namespace {

constexpr uint64_t kAbar = 0xfebf0000;
constexpr uint16_t kIndex = 0xc000;
constexpr uint64_t kPort1 = 0x180;
constexpr uint64_t kFis = 0x20000;
enum Register : uint64_t {
  kIs = 0x10,
  kIe = 0x14,
  kCmd = 0x18,
  kTfd = 0x20,
  kSig = 0x24,
  kSsts = 0x28,
  kSctl = 0x2c,
  kSact = 0x34,
  kCi = 0x38
};

struct AhciBoard {
  AhciBoard() {
    root.SetMemory(ram);
    SetConfig(0x20, 4, kIndex);
    SetConfig(0x24, 4, static_cast<uint32_t>(kAbar));
    SetConfig(4, 2, 7);
  }
  PciBus::Options RootOptions() {
    PciBus::Options options = RootBus(host);
    options.root_intx = [this](unsigned line, bool level) {
      EXPECT_EQ(line, 3u);  // slot 31, pin A
      pin.Set(level);
    };
    return options;
  }
  uint32_t Config(uint16_t reg, unsigned size) { return root.ReadConfig(0, 0xfa, reg, size); }
  void SetConfig(uint16_t reg, unsigned size, uint32_t value) {
    EXPECT_EQ(root.WriteConfig(0, 0xfa, reg, size, value).token(), nullptr);
  }
  uint64_t Get(uint64_t offset, unsigned size = 4) { return host.memory.Read(kAbar + offset, size); }
  void Set(uint64_t offset, uint64_t value, unsigned size = 4) {
    EXPECT_EQ(host.memory.Write(kAbar + offset, size, value).token(), nullptr);
  }
  std::array<uint8_t, 20> Received() {
    std::array<uint8_t, 20> fis = {};
    EXPECT_TRUE(ram->Read(Gpa{kFis + 0x40}, fis.data(), fis.size()));
    return fis;
  }

  FakeHost host;
  FakeIrqLine pin;
  std::shared_ptr<const GuestMemory> ram = TestMemory(1 << 20);
  PciBus root{RootOptions()};
  std::unique_ptr<Ich9Ahci> ahci = Ich9Ahci::Create(host, root).value();
};

class Ahci : public testing::Test {
 protected:
  // Port 1 receives its first FIS.
  void Receive() {
    board_.Set(kPort1 + 8, kFis);
    board_.Set(kPort1 + kCmd, 0x16);
  }
  AhciBoard board_;
};

TEST_F(Ahci, IsTheIch9sFunction) {
  EXPECT_EQ(board_.Config(0x00, 4), 0x29228086u);
  EXPECT_EQ(board_.Config(0x06, 2), 0x0010u);
  EXPECT_EQ(board_.Config(0x08, 4), 0x01060102u);
  EXPECT_EQ(board_.Config(0x2c, 4), 0x11001af4u);
  EXPECT_EQ(board_.Config(0x34, 1), 0x80u);
  EXPECT_EQ(board_.Config(0x3d, 1), 1u);
  EXPECT_EQ(board_.Config(0x80, 4), 0x0080a805u);
  EXPECT_EQ(board_.Config(0x90, 4), 0x40u);
  EXPECT_EQ(board_.Config(0xa8, 4), 0x00100012u);
  EXPECT_EQ(board_.Config(0xac, 4), 0x48u);
  board_.SetConfig(0x92, 2, 0x3f);  // what a driver enables ports with
  EXPECT_EQ(board_.Config(0x92, 2), 0x3fu);
}

TEST_F(Ahci, SixPortsWithoutDevices) {
  EXPECT_EQ(board_.Get(0x00), 0xc0141f05u);
  EXPECT_EQ(board_.Get(0x04), 0x80000000u);
  EXPECT_EQ(board_.Get(0x08), 0u);
  EXPECT_EQ(board_.Get(0x0c), 0x3fu);
  EXPECT_EQ(board_.Get(0x10), 0x00010000u);
  for (uint64_t port = 0x100; port < 0x400; port += 0x80) {
    EXPECT_EQ(board_.Get(port + kCmd), 6u);
    EXPECT_EQ(board_.Get(port + kTfd), 0x7fu);
    EXPECT_EQ(board_.Get(port + kSig), 0xffffffffu);
    EXPECT_EQ(board_.Get(port + kSsts), 0u);
  }
  EXPECT_EQ(board_.Get(0x400 + kSig), 0u) << "there is no seventh";
}

TEST_F(Ahci, RegistersKeepWhatTheyCan) {
  board_.Set(0x00, 0xffffffff);
  EXPECT_EQ(board_.Get(0x00), 0xc0141f05u);
  board_.Set(kPort1 + kIe, 0xffffffff);
  EXPECT_EQ(board_.Get(kPort1 + kIe), 0xfdc000ffu);
  board_.Set(kPort1 + kCmd, 0xffffffff);
  EXPECT_EQ(board_.Get(kPort1 + kCmd), 0x0f82c01fu);
  board_.Set(kPort1 + kCmd, 0);
  EXPECT_EQ(board_.Get(kPort1 + kCmd), 0u);
  board_.Set(kPort1 + kSsts, 0xffffffff);
  EXPECT_EQ(board_.Get(kPort1 + kSsts), 0u);
}

TEST_F(Ahci, AccessesOfOtherWidths) {
  EXPECT_EQ(board_.Get(0x02, 2), 0xc014u);
  EXPECT_EQ(board_.Get(0x01, 1), 0x1fu);
  EXPECT_EQ(board_.Get(0x00, 8), 0x80000000c0141f05u);
  EXPECT_EQ(board_.Get(0x0e, 8) & 0xffffffff, 0x00000000u);
  board_.Set(0x100, 0x1111222233334444, 8);
  EXPECT_EQ(board_.Get(0x100), 0x33334444u);
  EXPECT_EQ(board_.Get(0x104), 0x11112222u);
  board_.Set(0x102, 0x5555, 2);
  EXPECT_EQ(board_.Get(0x100), 0x33334444u);
  board_.Set(0x12c, 0xff, 1);
  EXPECT_EQ(board_.Get(0x12c), 0xffu);
}

TEST_F(Ahci, ReceivesTheTaskFileOfNoDriveOnce) {
  Receive();
  EXPECT_EQ(board_.Get(kPort1 + kCmd), 0x4016u);
  EXPECT_EQ(board_.Received(), (std::array<uint8_t, 20>{0x34, 0x40, 0x50, 0x00, 0x01, 0xff, 0xff, 0xa0, 0x00,
                                                        0x00, 0x00, 0x00, 0x01}));
  EXPECT_EQ(board_.Get(kPort1 + kTfd), 0x50u);
  EXPECT_EQ(board_.Get(kPort1 + kSig), 0xffff0101u);
  EXPECT_EQ(board_.Get(kPort1 + kIs), 1u);
  board_.Set(kPort1 + kIs, 1);
  board_.Set(kPort1 + kCmd, 0x06);
  board_.Set(kPort1 + kCmd, 0x16);
  EXPECT_EQ(board_.Get(kPort1 + kIs), 0u);
}

TEST_F(Ahci, PortResetForgetsTheFis) {
  Receive();
  board_.Set(kPort1 + kSctl, 0x301);
  EXPECT_EQ(board_.Get(kPort1 + kTfd), 0x50u);
  board_.Set(kPort1 + kSctl, 0x300);
  EXPECT_EQ(board_.Get(kPort1 + kTfd), 0x7fu);
  EXPECT_EQ(board_.Get(kPort1 + kSig), 0xffffffffu);
  board_.Set(kPort1 + kIs, 1);
  board_.Set(kPort1 + kCmd, 0x16);
  EXPECT_EQ(board_.Get(kPort1 + kIs), 1u);
}

TEST_F(Ahci, FisToNowhereIsLostAndCounted) {
  board_.Set(kPort1 + 8, 0xd0000000);
  board_.Set(kPort1 + kCmd, 0x16);
  EXPECT_EQ(board_.Get(kPort1 + kTfd), 0x50u);
  EXPECT_EQ(board_.ahci->counters().lost_fises.value(), 1u);
}

TEST_F(Ahci, NothingIsReceivedWithoutBusMastering) {
  board_.SetConfig(4, 2, 3);
  Receive();
  EXPECT_EQ(board_.Get(kPort1 + kTfd), 0x7fu);
  EXPECT_EQ(board_.Received(), (std::array<uint8_t, 20>{}));
}

TEST_F(Ahci, CommandsStayIssuedUntilThePortStops) {
  board_.Set(kPort1 + kCmd, 0x17);
  board_.Set(kPort1 + kSact, 4);
  board_.Set(kPort1 + kCi, 4);
  EXPECT_EQ(board_.Get(kPort1 + kCmd), 0xc017u);
  EXPECT_EQ(board_.Get(kPort1 + kCi), 4u);
  board_.Set(kPort1 + kCmd, 0x16);
  EXPECT_EQ(board_.Get(kPort1 + kCi), 0u);
  EXPECT_EQ(board_.Get(kPort1 + kSact), 0u);
}

TEST_F(Ahci, InterruptsByPin) {
  board_.Set(kPort1 + kIe, 1);
  board_.Set(0x04, 2);
  Receive();
  EXPECT_TRUE(board_.pin.level());
  EXPECT_EQ(board_.Get(0x08), 2u);
  board_.Set(0x08, 2);
  EXPECT_TRUE(board_.pin.level()) << "the port asks on";
  board_.Set(kPort1 + kIs, 1);
  EXPECT_FALSE(board_.pin.level());
}

TEST_F(Ahci, NoInterruptWithoutEitherEnable) {
  board_.Set(kPort1 + kIe, 1);
  Receive();
  EXPECT_FALSE(board_.pin.level());
  board_.Set(0x04, 2);
  EXPECT_TRUE(board_.pin.level());
  board_.Set(kPort1 + kIe, 0);
  EXPECT_FALSE(board_.pin.level());
}

TEST_F(Ahci, InterruptsByMessage) {
  board_.SetConfig(0x84, 4, 0xfee01000);
  board_.SetConfig(0x8c, 2, 0x41);
  board_.SetConfig(0x82, 2, 1);
  board_.Set(kPort1 + kIe, 1);
  board_.Set(0x04, 2);
  Receive();
  EXPECT_FALSE(board_.pin.level());
  EXPECT_EQ(board_.host.vectors.vector(0).sent, (std::vector<MsiMessage>{{0xfee01000, 0x41}}));
}

TEST_F(Ahci, HbaResetKeepsAddressesOnly) {
  Receive();
  board_.Set(kPort1, 0x10000);
  board_.Set(kPort1 + kIe, 1);
  board_.Set(0x04, 2);
  board_.Set(0x04, 1);
  EXPECT_EQ(board_.Get(0x04), 0x80000000u);
  EXPECT_EQ(board_.Get(kPort1), 0x10000u);
  EXPECT_EQ(board_.Get(kPort1 + 8), kFis);
  EXPECT_EQ(board_.Get(kPort1 + kCmd), 6u);
  EXPECT_EQ(board_.Get(kPort1 + kIs), 0u);
  EXPECT_EQ(board_.Get(kPort1 + kIe), 0u);
  EXPECT_EQ(board_.Get(kPort1 + kTfd), 0x7fu);
  EXPECT_FALSE(board_.pin.level());
}

TEST_F(Ahci, IndexDataPairReachesTheSameRegisters) {
  Out(board_.host, kIndex + 0x10, 0xffffffff, 4);
  EXPECT_EQ(board_.host.io.Read(kIndex + 0x10, 4), 0xffcu);
  Out(board_.host, kIndex + 0x10, 0x104, 4);
  Out(board_.host, kIndex + 0x14, 0x1234, 4);
  EXPECT_EQ(board_.Get(0x104), 0x1234u);
  EXPECT_EQ(board_.host.io.Read(kIndex + 0x14, 2), 0x1234u);
  EXPECT_EQ(board_.host.io.Read(kIndex, 4), 0u);
}

TEST_F(Ahci, SavedStateComesBack) {
  board_.Set(kPort1 + kIe, 1);
  board_.Set(0x04, 2);
  Receive();
  Out(board_.host, kIndex + 0x10, 0x104, 4);
  const auto bytes = Saved(*board_.ahci);
  AhciBoard other;
  ASSERT_TRUE(LoadInto(*other.ahci, bytes));
  EXPECT_EQ(Saved(*other.ahci), bytes);
  other.ahci->Resume();
  EXPECT_TRUE(other.pin.level());
  EXPECT_EQ(other.Get(kPort1 + kTfd), 0x50u);
}

TEST_F(Ahci, MachineResetTakesEverythingBack) {
  Receive();
  board_.ahci->Reset();
  EXPECT_EQ(board_.Config(0x24, 4), 0u);
  board_.SetConfig(0x24, 4, static_cast<uint32_t>(kAbar));
  board_.SetConfig(4, 2, 7);
  EXPECT_EQ(board_.Get(kPort1 + 8), 0u);
  EXPECT_EQ(board_.Get(kPort1 + kTfd), 0x7fu);
}

TEST_F(Ahci, HostileStateIsRefused) {
  EXPECT_NE(LoadError(*board_.ahci, R"({"ports": []})", "/ahci"), "");
  EXPECT_NE(LoadError(*board_.ahci, R"({"index": 2})", "/ahci"), "");
  EXPECT_NE(LoadError(*board_.ahci, R"({"ports": [{"command": 32}, {}, {}, {}, {}, {}]})", "/ahci"), "");
  EXPECT_NE(LoadError(*board_.ahci, R"({"ports": [{"interrupt-enable": 256}, {}, {}, {}, {}, {}]})", "/ahci"),
            "");
}

}  // namespace
}  // namespace nandu

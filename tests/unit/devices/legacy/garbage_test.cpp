// Whatever a guest writes wherever it likes: nothing breaks, every device still answers, and what it saves
// can be loaded again.
#include <gtest/gtest.h>
#include <random>

#include "devices/legacy/dma_controller.h"
#include "devices/legacy/hpet.h"
#include "devices/legacy/i8042.h"
#include "devices/legacy/ich9_ahci.h"
#include "devices/legacy/ich9_lpc.h"
#include "devices/legacy/ich9_smbus.h"
#include "devices/legacy/legacy_ports.h"
#include "devices/legacy/rtc.h"
#include "devices/legacy/serial_device.h"
#include "devices/legacy/vmport.h"
#include "devices/pci/pci_bus.h"
#include "support/fake_memory.h"

namespace nandu {
namespace {

constexpr uint16_t kAhciPorts = 0xc000;
constexpr uint32_t kAhciRegisters = 0xfebf0000;

// A vCPU whose registers hold what the access before left there.
struct Backdoor final : VcpuRegisters {
  bool Get(CallRegisters* out) override {
    *out = now;
    return true;
  }
  bool Set(const CallRegisters& registers) override {
    now = registers;
    return true;
  }
  uint64_t TscHz() override { return 0; }
  bool HasX2Apic() override { return true; }
  CallRegisters now;
};

struct Board {
  Board() {
    Hpet::Options options;
    options.claim_gsi = [this](unsigned gsi) {
      return std::make_unique<FakeIrqShare>(gsi < 16 ? host.isa[gsi] : high.at(gsi - 16));
    };
    hpet = Hpet::Create(host, std::move(options)).value();
    rtc = Rtc::Create(host, hpet->rtc_line(), {}).value();
    i8042 = I8042::Create(host).value();
    serial = SerialDevice::Create(host, {.id = "s", .chardev = terminal}).value();
    Ich9Lpc::Gsis gsis;
    for (unsigned i = 0; i < IrqRouter::kPirqs; i++) {
      gsis[i] = std::make_unique<FakeIrqShare>(high[i]);
    }
    lpc = Ich9Lpc::Create(host, bus, std::move(gsis)).value();
    lpc->SetUpAsFirmware();
    ahci = Ich9Ahci::Create(host, bus).value();
    smbus = Ich9Smbus::Create(bus).value();
    dma = IsaDma::Create(host).value();
    vmport = Vmport::Create(host, {.registers = backdoor}).value();
    SetUp();
  }
  // What firmware does: places for BARs, decoding, bus mastering.
  void SetUp() {
    PciBus& root = bus;
    static_cast<void>(root.WriteConfig(0, 0xfa, 0x20, 4, kAhciPorts));
    static_cast<void>(root.WriteConfig(0, 0xfa, 0x24, 4, kAhciRegisters));
    static_cast<void>(root.WriteConfig(0, 0xfa, 0x04, 2, 7));
    static_cast<void>(root.WriteConfig(0, 0xfb, 0x04, 2, 1));
    smbus->SetUpAsFirmware();
  }
  std::vector<Device*> devices() {
    return {hpet.get(), rtc.get(),   i8042.get(), serial.get(), lpc.get(),
            ahci.get(), smbus.get(), dma.get(),   vmport.get()};
  }

  FakeHost host;
  std::array<FakeIrqLine, 8> high;
  std::shared_ptr<FakeChardev> terminal = host.AddChardev("t");
  PciBus bus{RootBus(host)};
  std::unique_ptr<Hpet> hpet;
  std::unique_ptr<Rtc> rtc;
  std::unique_ptr<I8042> i8042;
  std::unique_ptr<SerialDevice> serial;
  std::unique_ptr<Ich9Lpc> lpc;
  std::unique_ptr<Ich9Ahci> ahci;
  std::unique_ptr<Ich9Smbus> smbus;
  std::unique_ptr<IsaDma> dma;
  std::shared_ptr<Backdoor> backdoor = std::make_shared<Backdoor>();
  std::unique_ptr<Vmport> vmport;
};

// One access somewhere on the board.
void Poke(Board& board, std::mt19937& random) {
  constexpr std::array<uint16_t, 13> kPorts = {0x60,  0x70,  0x92, 0xb2, 0x3f8,           0x600, 0x660,
                                               0xcf8, 0x700, 0x00, 0xd0, kAhciPorts + 16, 0x5658};
  const unsigned size = 1u << random() % 4;
  const uint64_t value = uint64_t{random()} << 32 | random();
  const auto port = static_cast<uint16_t>(kPorts[random() % kPorts.size()] + random() % 16);
  switch (random() % 11) {
    case 8:
      static_cast<void>(board.host.memory.Write(kAhciRegisters + random() % 0x400 / 4 * 4, size,
                                                random() % 2 != 0 ? value : 0x17));
      break;
    case 9: board.host.memory.Read(kAhciRegisters + random() % 0x1000, size); break;
    case 10:
      // A backdoor command that exists, more often than not.
      board.backdoor->now = {
          0x564d5868, random() % 3 != 0 ? 0x45414552 : random() % 8, 36 + random() % 8, 0, 0, 0};
      board.host.io.Read(0x5658, 4);
      break;
    case 0: board.host.memory.Read(0xfed00000 + random() % 0x400, size); break;
    case 1: static_cast<void>(board.host.memory.Write(0xfed00000 + random() % 0x400, size, value)); break;
    case 2: static_cast<void>(board.host.memory.Write(0xfed1c000 + random() % 0x4000, size, value)); break;
    case 3:
      static_cast<void>(board.bus.WriteConfig(0, 0xf8, static_cast<uint16_t>(random() % 64 * 4), 4,
                                              static_cast<uint32_t>(value)));
      break;
    case 4: board.host.io.Read(port, size > 4 ? 4 : size); break;
    case 5:
      board.terminal->Type("x");
      board.host.loop.RunReady();
      break;
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
  EXPECT_EQ(board.host.memory.Read(kAhciRegisters + 0x118, 4), 6u);
  EXPECT_EQ(In(board.host, 0x700), 0x00);
  EXPECT_EQ(In(board.host, 0x09), 0xff);
  EXPECT_EQ(board.host.io.Read(0x672, 2), 4u);
  EXPECT_EQ(In(board.host, 0x64), 0x18);
  EXPECT_EQ(In(board.host, 0x3f8 + 1), 0x00);
  EXPECT_EQ(board.host.io.Read(0x604, 2), 0u);
  EXPECT_EQ(board.host.memory.Read(0xfed00010, 8), 0u);
  for (unsigned irq = 0; irq < 16; irq++) {
    EXPECT_FALSE(board.host.isa[irq].level()) << irq;
  }
}

}  // namespace
}  // namespace nandu

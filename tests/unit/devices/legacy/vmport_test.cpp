// What QEMU 7.2 leaves in a guest's registers stands in these tests: a guest asked it (tests/system,
// vmport_rom.S).
#include "devices/legacy/vmport.h"

#include <gtest/gtest.h>

#include "devices/legacy/legacy_ports.h"

namespace nandu {
namespace {

constexpr uint32_t kMagic = 0x564d5868;

struct FakeRegisters final : VcpuRegisters {
  bool Get(CallRegisters* out) override {
    if (there) {
      *out = now;
    }
    return there;
  }
  bool Set(const CallRegisters& registers) override {
    now = registers;
    return there;
  }
  uint64_t TscHz() override { return tsc_hz; }
  bool HasX2Apic() override { return x2apic; }

  CallRegisters now;
  bool there = true;
  uint64_t tsc_hz = 0;
  bool x2apic = false;
};

struct VmportBoard {
  Vmport::Options Options() {
    Vmport::Options options;
    options.registers = registers;
    options.ram_bytes = uint64_t{5} << 30;
    for (size_t i = 0; i < options.uuid.size(); i++) {
      options.uuid.at(i) = static_cast<uint8_t>(0x11 * i);
    }
    return options;
  }
  // IN EAX, DX with these in ECX and EBX.
  CallRegisters Ask(uint32_t command, uint32_t argument = 0, uint32_t magic = kMagic) {
    registers->now = {magic, argument, command, 0x11115658, 0x22222222, 0x33333333};
    const uint64_t answer = host.io.Read(Vmport::kPort, 4);
    EXPECT_EQ(answer, registers->now.rax & 0xffffffff);
    return registers->now;
  }

  FakeHost host;
  std::shared_ptr<FakeRegisters> registers = std::make_shared<FakeRegisters>();
  std::unique_ptr<Vmport> vmport = Vmport::Create(host, Options()).value();
};

CallRegisters Answer(uint64_t rax, uint64_t rbx, uint64_t rcx) {
  return {rax, rbx, rcx, 0x11115658, 0x22222222, 0x33333333};
}

class VmportTest : public testing::Test {
 protected:
  VmportBoard board_;
};

TEST_F(VmportTest, TellsItsVersion) { EXPECT_EQ(board_.Ask(10), Answer(6, kMagic, 2)); }

TEST_F(VmportTest, TellsTheUuid) {
  EXPECT_EQ(board_.Ask(19),
            (CallRegisters{0x33221100, 0x77665544, 0xbbaa9988, 0xffeeddcc, 0x22222222, 0x33333333}));
}

TEST_F(VmportTest, TellsTheLowHalfOfTheMemorySize) {
  EXPECT_EQ(board_.Ask(20), Answer(0x40000000, 0x1177, 20));
}

TEST_F(VmportTest, TellsFrequenciesItKnows) {
  EXPECT_EQ(board_.Ask(45), Answer(kMagic, 0xffffffff, 45));
  board_.registers->tsc_hz = 0x1'23456789;
  EXPECT_EQ(board_.Ask(45), Answer(0x23456789, 1, 1'000'000'000));
}

TEST_F(VmportTest, TellsOfTheX2Apic) {
  EXPECT_EQ(board_.Ask(68), Answer(0, 0, 68));
  board_.registers->x2apic = true;
  EXPECT_EQ(board_.Ask(68), Answer(8, 0, 68));
}

TEST_F(VmportTest, RefusesWhatItDoesNotKnow) {
  for (const uint32_t command : {0u, 1u, 23u, 46u, 0x2cu, 100u, 255u}) {
    EXPECT_EQ(board_.Ask(command), Answer(0xffffffff, 0, command)) << command;
  }
  EXPECT_EQ(board_.Ask(10, 0, 0), Answer(0xffffffff, 0, 10)) << "no magic number";
  EXPECT_EQ(board_.vmport->counters().refused.value(), 8u);
}

TEST_F(VmportTest, WriteAsksAsWell) {
  board_.registers->now = {kMagic, 0, 10, 0, 0, 0};
  Out(board_.host, Vmport::kPort, kMagic, 4);
  EXPECT_EQ(board_.registers->now.rax, 6u);
}

TEST_F(VmportTest, PortsBehindItAreEmpty) {
  board_.registers->now = {kMagic, 0, 10, 0, 0, 0};
  EXPECT_EQ(In(board_.host, Vmport::kPort + 1), 0xff);
  Out(board_.host, Vmport::kPort + 1, 0);
  EXPECT_EQ(board_.registers->now.rax, kMagic);
}

TEST_F(VmportTest, WithoutAVcpuNothingHappens) {
  board_.registers->there = false;
  EXPECT_EQ(board_.host.io.Read(Vmport::kPort, 4), 0xffffffffu);
  EXPECT_EQ(board_.vmport->counters().without_registers.value(), 1u);
}

// ---- the mouse ----

TEST_F(VmportTest, MouseIsFoundAsDriversLookForIt) {
  EXPECT_EQ(board_.Ask(40).rax, 0xffff0000u) << "disabled";
  EXPECT_EQ(board_.Ask(41, 0x45414552), Answer(kMagic, 0x45414552, 41));
  EXPECT_EQ(board_.Ask(40).rax, 1u);
  EXPECT_EQ(board_.Ask(39, 1), Answer(0x3442554a, 1, 39));
  EXPECT_EQ(board_.Ask(40).rax, 0u);
  EXPECT_EQ(board_.Ask(41, 0x53424152), Answer(kMagic, 0x53424152, 41));
  EXPECT_EQ(board_.Ask(41, 0xf5), Answer(kMagic, 0xf5, 41));
  EXPECT_EQ(board_.Ask(40).rax, 0xffff0000u);
}

TEST_F(VmportTest, MouseGivesWordsInRegisters) {
  board_.Ask(41, 0x45414552);
  board_.Ask(41, 0x45414552);
  EXPECT_EQ(board_.Ask(39, 2), Answer(0x3442554a, 0x3442554a, 39));
}

TEST_F(VmportTest, MouseRefusesToGiveWhatItHasNot) {
  board_.Ask(41, 0x45414552);
  EXPECT_EQ(board_.Ask(39, 2), Answer(kMagic, 2, 39));
  EXPECT_EQ(board_.Ask(40).rax, 0xffff0001u);
  EXPECT_EQ(board_.Ask(39, 0), Answer(kMagic, 0, 39));
  EXPECT_EQ(board_.Ask(39, 0xffffffff), Answer(kMagic, 0xffffffff, 39));
}

TEST_F(VmportTest, MouseQueueIsBounded) {
  for (unsigned i = 0; i < 1100; i++) {
    board_.Ask(41, 0x45414552);
  }
  EXPECT_EQ(board_.Ask(40).rax, 1024u);
}

TEST_F(VmportTest, MouseCutsRegistersToTheirLowHalf) {
  board_.registers->now = {0xf00000000 | kMagic, 0, 40, 0xf11115658, 0, 0};
  board_.host.io.Read(Vmport::kPort, 4);
  EXPECT_EQ(board_.registers->now, (CallRegisters{0xffff0000, 0, 40, 0x11115658, 0, 0}));
}

TEST_F(VmportTest, SavedStateComesBackAndResetForgetsIt) {
  board_.Ask(41, 0x45414552);
  board_.Ask(41, 0x53424152);
  const auto bytes = Saved(*board_.vmport);
  VmportBoard other;
  ASSERT_TRUE(LoadInto(*other.vmport, bytes));
  EXPECT_EQ(Saved(*other.vmport), bytes);
  EXPECT_EQ(other.Ask(39, 1).rax, 0x3442554au);
  other.vmport->Reset();
  EXPECT_EQ(other.Ask(40).rax, 0xffff0000u);
}

TEST_F(VmportTest, HostileStateIsRefused) {
  VmmouseState state;
  state.queue.resize(1025);
  EXPECT_FALSE(Validate(state));
}

}  // namespace
}  // namespace nandu

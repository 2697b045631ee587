// What a debugger needs of KVM: stops at breakpoints, single steps, and exceptions that are the guest's own.
#include "vcpu/debug.h"

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "guest_vm.h"

namespace nandu {
namespace {

constexpr uint64_t kHandler = 0x30000;

GUEST_CODE(three_writes, 64, R"(
  mov $0x500, %edx
  mov $1, %al
  out %al, %dx
  nop
  mov $2, %al
  out %al, %dx
  hlt
)")
constexpr uint64_t kNop = GuestVm::kCode + 8;  // mov imm32 (5), mov imm8 (2), out (1)

GUEST_CODE(own_breakpoint, 64, R"(
  mov $0x500, %edx
  int3
  mov $2, %al
  out %al, %dx
  hlt
)")
GUEST_CODE(breakpoint_handler, 64, R"(
  mov $7, %al
  out %al, %dx
  iretq
)")

// tests/lab: what is nested has an emulated processor.
bool BreakpointsFire() {
  const char* const lab = getenv("LAB");
  return lab == nullptr || std::string_view(lab) != "nested";
}

class KvmDebug : public KvmGuest {
 protected:
  void SetUp() override {
    KvmGuest::SetUp();
    if (!IsSkipped()) {
      guest_ = std::make_unique<GuestVm>();
    }
  }
  // The guest stands at the nop between its two writes.
  void StopAtTheNop() {
    guest().debug_exit = [this](const DebugExit& exit) {
      exits_.push_back(exit);
      return true;
    };
    const HardwareBreakpoint breakpoint[] = {
        {.on = HardwareBreakpoint::On::kExecute, .address = kNop, .bytes = 1}};
    ASSERT_TRUE(
        SetGuestDebug(vcpu(), {.software_breakpoints = false, .single_step = false, .hardware = breakpoint})
            .has_value());
    guest().BootLong(GUEST_BYTES(three_writes));
    ASSERT_TRUE(guest().debug_stop.Wait());
    ASSERT_TRUE(guest().Pause());
  }
  GuestVm& guest() { return *guest_; }
  KvmVcpu& vcpu() { return guest_->vcpus->at(0).kvm(); }
  std::vector<DebugExit> exits_;

 private:
  std::unique_ptr<GuestVm> guest_;
};

TEST_F(KvmDebug, HardwareBreakpointStopsBeforeItsInstruction) {
  if (!BreakpointsFire()) {
    GTEST_SKIP() << "QEMU 7.2's emulated SVM loads no guest's address registers: no breakpoint fires";
  }
  ASSERT_NO_FATAL_FAILURE(StopAtTheNop());
  EXPECT_EQ(guest().ports->accesses().size(), 1U);
  const CpuRegisters registers = ReadCpuRegisters(vcpu()).value();
  EXPECT_EQ(registers.rip, kNop);
  EXPECT_EQ(registers.gpr[CpuRegisters::kRax] & 0xff, 1U);
  ASSERT_EQ(exits_.size(), 1U);
  EXPECT_EQ(exits_[0].exception, DebugExit::kDebugException);
  EXPECT_EQ(exits_[0].dr6 & 0xf, 1U);
  EXPECT_EQ(TranslateVirtual(vcpu(), kNop), kNop);
}

TEST_F(KvmDebug, SingleStepIsOneInstruction) {
  if (!BreakpointsFire()) {
    GTEST_SKIP() << "QEMU 7.2's emulated SVM loads no guest's address registers: no breakpoint fires";
  }
  ASSERT_NO_FATAL_FAILURE(StopAtTheNop());
  ASSERT_TRUE(SetGuestDebug(vcpu(), {.software_breakpoints = false, .single_step = true, .hardware = {}})
                  .has_value());
  guest().Resume();
  ASSERT_TRUE(guest().debug_stop.Wait(2));
  ASSERT_TRUE(guest().Pause());
  EXPECT_EQ(ReadCpuRegisters(vcpu())->rip, kNop + 1);
  EXPECT_NE(exits_.at(1).dr6 & DebugExit::kSingleStep, 0U);
}

TEST_F(KvmDebug, BreakpointInstructionOfItsOwnReachesTheGuest) {
  if (!BreakpointsFire()) {
    GTEST_SKIP()
        << "QEMU 7.2's emulated SVM does not bring an int3 that is handed back to the guest to its handler";
  }
  guest().debug_exit = [](const DebugExit&) { return false; };
  guest().Write(kHandler, GUEST_BYTES(breakpoint_handler));
  guest().SetVector(DebugExit::kBreakpoint, kHandler);
  ASSERT_TRUE(SetGuestDebug(vcpu(), {.software_breakpoints = true, .single_step = false, .hardware = {}})
                  .has_value());
  guest().BootLong(GUEST_BYTES(own_breakpoint));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!guest().ports->WaitFor(2, std::chrono::milliseconds(20))) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    if (guest().internal_error.is_set()) {
      GTEST_SKIP() << "this host's KVM does not emulate int3";
    }
  }
  EXPECT_EQ(guest().ports->accesses()[0].value, 7U);
  EXPECT_EQ(guest().ports->accesses()[1].value, 2U);
}

TEST_F(KvmDebug, RegistersThatADebuggerWroteAreTheGuests) {
  if (!BreakpointsFire()) {
    GTEST_SKIP() << "QEMU 7.2's emulated SVM loads no guest's address registers: no breakpoint fires";
  }
  ASSERT_NO_FATAL_FAILURE(StopAtTheNop());
  CpuRegisters registers = ReadCpuRegisters(vcpu()).value();
  registers.gpr[CpuRegisters::kRdx] = 0x501;
  registers.xmm[3][15] = 0x5a;
  registers.st[2][9] = 0x3f;
  registers.x87[2] = 0xffcf;
  ASSERT_TRUE(WriteCpuRegisters(vcpu(), registers).has_value());
  EXPECT_EQ(ReadCpuRegisters(vcpu()).value(), registers);
  CpuRegisters wrong = registers;
  wrong.segments[0] += 8;
  EXPECT_FALSE(WriteCpuRegisters(vcpu(), wrong).has_value());
  ASSERT_TRUE(SetGuestDebug(vcpu(), {}).has_value());
  guest().Resume();
  ASSERT_TRUE(guest().ports->WaitFor(2));
  EXPECT_EQ(guest().ports->accesses()[1].offset, 1U);
}

}  // namespace
}  // namespace nandu

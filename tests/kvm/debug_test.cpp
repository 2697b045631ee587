// What a debugger needs of KVM: stops at breakpoints, single steps, and exceptions that are the guest's own.
#include "vcpu/debug.h"

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

class KvmDebug : public KvmGuest {
 protected:
  // The guest stands at the nop between its two writes.
  void StopAtTheNop() {
    guest_.debug_exit = [this](const DebugExit& exit) {
      exits_.push_back(exit);
      return true;
    };
    const HardwareBreakpoint breakpoint[] = {
        {.on = HardwareBreakpoint::On::kExecute, .address = kNop, .bytes = 1}};
    ASSERT_TRUE(
        SetGuestDebug(vcpu_, {.software_breakpoints = false, .single_step = false, .hardware = breakpoint})
            .has_value());
    guest_.BootLong(GUEST_BYTES(three_writes));
    ASSERT_TRUE(guest_.debug_stop.Wait());
    ASSERT_TRUE(guest_.Pause());
  }
  GuestVm guest_;
  KvmVcpu& vcpu_ = guest_.vcpus->at(0).kvm();
  std::vector<DebugExit> exits_;
};

TEST_F(KvmDebug, HardwareBreakpointStopsBeforeItsInstruction) {
  StopAtTheNop();
  EXPECT_EQ(guest_.ports->accesses().size(), 1U);
  const CpuRegisters registers = ReadCpuRegisters(vcpu_).value();
  EXPECT_EQ(registers.rip, kNop);
  EXPECT_EQ(registers.gpr[CpuRegisters::kRax] & 0xff, 1U);
  ASSERT_EQ(exits_.size(), 1U);
  EXPECT_EQ(exits_[0].exception, DebugExit::kDebugException);
  EXPECT_EQ(exits_[0].dr6 & 0xf, 1U);
  EXPECT_EQ(TranslateVirtual(vcpu_, kNop), kNop);
}

TEST_F(KvmDebug, SingleStepIsOneInstruction) {
  StopAtTheNop();
  ASSERT_TRUE(
      SetGuestDebug(vcpu_, {.software_breakpoints = false, .single_step = true, .hardware = {}}).has_value());
  guest_.Resume();
  ASSERT_TRUE(guest_.debug_stop.Wait(2));
  ASSERT_TRUE(guest_.Pause());
  EXPECT_EQ(ReadCpuRegisters(vcpu_)->rip, kNop + 1);
  EXPECT_NE(exits_.at(1).dr6 & DebugExit::kSingleStep, 0U);
}

TEST_F(KvmDebug, BreakpointInstructionOfItsOwnReachesTheGuest) {
  guest_.debug_exit = [](const DebugExit&) { return false; };
  guest_.Write(kHandler, GUEST_BYTES(breakpoint_handler));
  guest_.SetVector(DebugExit::kBreakpoint, kHandler);
  ASSERT_TRUE(
      SetGuestDebug(vcpu_, {.software_breakpoints = true, .single_step = false, .hardware = {}}).has_value());
  guest_.BootLong(GUEST_BYTES(own_breakpoint));
  while (!guest_.ports->WaitFor(2, std::chrono::milliseconds(20))) {
    if (guest_.internal_error.is_set()) {
      GTEST_SKIP() << "this host's KVM does not emulate int3";
    }
  }
  EXPECT_EQ(guest_.ports->accesses()[0].value, 7U);
  EXPECT_EQ(guest_.ports->accesses()[1].value, 2U);
}

TEST_F(KvmDebug, RegistersThatADebuggerWroteAreTheGuests) {
  StopAtTheNop();
  CpuRegisters registers = ReadCpuRegisters(vcpu_).value();
  registers.gpr[CpuRegisters::kRdx] = 0x501;
  registers.xmm[3][15] = 0x5a;
  registers.st[2][9] = 0x3f;
  registers.x87[2] = 0xffcf;
  ASSERT_TRUE(WriteCpuRegisters(vcpu_, registers).has_value());
  EXPECT_EQ(ReadCpuRegisters(vcpu_).value(), registers);
  CpuRegisters wrong = registers;
  wrong.segments[0] += 8;
  EXPECT_FALSE(WriteCpuRegisters(vcpu_, wrong).has_value());
  ASSERT_TRUE(SetGuestDebug(vcpu_, {}).has_value());
  guest_.Resume();
  ASSERT_TRUE(guest_.ports->WaitFor(2));
  EXPECT_EQ(guest_.ports->accesses()[1].offset, 1U);
}

}  // namespace
}  // namespace nandu

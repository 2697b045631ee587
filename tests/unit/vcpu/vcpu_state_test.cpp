// vCPU state as a hostile stream may bring it, and boot registers. What KVM makes of them is tested in
// tests/kvm.
#include "vcpu/vcpu_state.h"

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vcpu/boot_registers.h"

namespace nandu {
namespace {

using ::testing::HasSubstr;

TEST(VcpuState, AcceptsAnEmptyState) { EXPECT_TRUE(Validate(VcpuState{})); }

TEST(VcpuState, RefusesMoreThanAVcpuHolds) {
  VcpuState state;
  state.xsave.resize(VcpuState::kMaxXsaveBytes + 1);
  const Result<> valid = Validate(state);
  ASSERT_FALSE(valid);
  EXPECT_THAT(valid.error().message, HasSubstr("larger than any vCPU's"));
}

TEST(VcpuState, RefusesMoreInterruptsThanAreOnTheirWay) {
  VcpuState state;
  state.external_vectors.resize(VcpuState::kMaxExternalVectors + 1);
  EXPECT_FALSE(Validate(state));
}

TEST(VcpuState, RefusesParkedWritesNoVcpuMakes) {
  VcpuState state;
  state.parked_writes = {{ExitSpace::kPorts, 0x10000, 1, 0}};
  EXPECT_FALSE(Validate(state));
  state.parked_writes = {{ExitSpace::kPorts, 0x80, 8, 0}};
  EXPECT_FALSE(Validate(state));
  state.parked_writes = {{ExitSpace::kMemory, 0x80, 0, 0}};
  EXPECT_FALSE(Validate(state));
  state.parked_writes = {{ExitSpace::kMemory, ~uint64_t{0}, 8, 0}};
  EXPECT_TRUE(Validate(state));
}

TEST(VcpuState, ComesBackFromItsJson) {
  VcpuState state;
  state.regs.rax = ~uint64_t{0};
  state.sregs.pdptrs = {1, 2, 3, 4};
  state.xsave = {std::byte{1}, std::byte{0xff}};
  state.cpuid = {{1, 2, 3, 4, 5, 6, 7}};
  state.msrs = {{0x10, 1}, {0xc0000081, ~uint64_t{0}}};
  state.lapic[3] = 0xdeadbeef;
  state.parked_writes = {{ExitSpace::kPorts, 0x80, 4, 0xffffffff}};
  state.external_vectors = {0x44};
  const boost::json::value json = ToJson(TypeOf<VcpuState>(), &state);
  const VcpuState back = FromJson<VcpuState>(json).value();
  EXPECT_EQ(back, state);
}

TEST(VcpuState, JsonWithTooMuchIsRefused) {
  VcpuState state;
  state.parked_writes.resize(VcpuState::kMaxParkedWrites + 1);
  EXPECT_FALSE(FromJson<VcpuState>(ToJson(TypeOf<VcpuState>(), &state)));
}

TEST(BootRegisters, LinuxBeginsInLongModeWithInterruptsOff) {
  BootRegisters boot;
  boot.mode = BootRegisters::Mode::kLong64;
  boot.rip = 0x100200;
  boot.rsi = 0x90000;
  boot.cr3 = 0x1000;
  kvm_regs regs{};
  kvm_sregs sregs{};
  ApplyBootRegisters(boot, &regs, &sregs);
  EXPECT_EQ(regs.rip, 0x100200U);
  EXPECT_EQ(regs.rsi, 0x90000U);
  EXPECT_EQ(regs.rflags, 2U);
  EXPECT_EQ(sregs.cs.selector, 0x10);
  EXPECT_EQ(sregs.cs.l, 1);
  EXPECT_EQ(sregs.ds.selector, 0x18);
  EXPECT_EQ(sregs.cr0, 0x80000011U);
  EXPECT_EQ(sregs.cr4, 0x20U);
  EXPECT_EQ(sregs.efer, 0x500U);
}

TEST(BootRegisters, PvhBeginsInFlatProtectedModeWithoutPaging) {
  BootRegisters boot;
  boot.mode = BootRegisters::Mode::kProtected32;
  boot.rip = 0x1000000;
  boot.rbx = 0x6000;
  kvm_regs regs{};
  kvm_sregs sregs{};
  ApplyBootRegisters(boot, &regs, &sregs);
  EXPECT_EQ(regs.rbx, 0x6000U);
  EXPECT_EQ(sregs.cr0, 0x11U);
  EXPECT_EQ(sregs.cr4, 0U);
  EXPECT_EQ(sregs.cs.db, 1);
  EXPECT_EQ(sregs.cs.limit, 0xffffffffU);
  EXPECT_EQ(sregs.tr.limit, 0x67U);
}

TEST(BootRegisters, ResetVectorChangesNothing) {
  kvm_regs regs{};
  regs.rip = 0xfff0;
  kvm_sregs sregs{};
  ApplyBootRegisters({}, &regs, &sregs);
  EXPECT_EQ(regs.rip, 0xfff0U);
}

}  // namespace
}  // namespace nandu

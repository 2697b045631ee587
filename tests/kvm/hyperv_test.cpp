// A guest that knows Hyper-V: its registers travel, are forgotten by a reset, and its messages reach nobody.
// Specification: Microsoft, Hypervisor Top-Level Functional Specification 6.0b.
#include <map>

#include "guest_vm.h"
#include "vcpu/msrs.h"

namespace nandu {
namespace {

constexpr char kModel[] =
    "host,hv-relaxed,hv-vapic,hv-time,hv-vpindex,hv-runtime,hv-reset,hv-synic,hv-stimer,hv-crash,hv-"
    "frequencies";

// Where guest and test exchange their tables.
constexpr uint64_t kWritten = 0x40000;  // count, then 16-byte entries: index, unused, value
constexpr uint64_t kRead = 0x44000;
constexpr uint64_t kResult = 0x48000;  // of the hypercall
constexpr uint64_t kHypercallPage = 0x50000;

GUEST_CODE(know_hyperv, 64, R"(
  mov $0x500, %edx
  mov 0x40000, %rbx
  mov $0x40010, %esi
1:
  mov (%rsi), %ecx
  push %rdx
  mov 8(%rsi), %eax
  mov 12(%rsi), %edx
  wrmsr
  pop %rdx
  add $16, %rsi
  dec %rbx
  jnz 1b
  out %al, %dx
  # here the guest goes on in another VM
  mov 0x40000, %rbx
  mov $0x40010, %esi
  mov $0x44010, %edi
2:
  mov (%rsi), %ecx
  rdmsr
  mov %ecx, (%rdi)
  mov %eax, 8(%rdi)
  mov %edx, 12(%rdi)
  add $16, %rsi
  add $16, %rdi
  dec %rbx
  jnz 2b
  # HvCallPostMessage of a message somewhere
  mov $0x5c, %ecx
  mov $0x60000, %edx
  xor %r8d, %r8d
  mov $0x50000, %eax
  call *%rax
  mov %rax, 0x48000
  mov $0x501, %edx
  out %al, %dx
  hlt
)")

struct MsrEntry {
  uint32_t index;
  uint32_t unused;
  uint64_t value;
};
constexpr MsrEntry kPatterns[] = {
    {0x40000000, 0, 0x8100000000000042},  // who the guest is
    {0x40000001, 0, kHypercallPage | 1},  //
    {0x40000021, 0, 0x51001},             // reference TSC page
    {0x40000073, 0, 0x52001},             // assist page
    {0x40000080, 0, 1},                   // SynIC on
    {0x40000082, 0, 0x53001},             // events
    {0x40000083, 0, 0x54001},             // messages
    {0x40000090, 0, 0x20050},             // interrupt source 0: vector 0x50, ends itself
    {0x40000093, 0, 0x10051},             // source 3: masked
    {0x400000b0, 0, 0x30000},             // timer 0: messages by source 3, not on
    {0x400000b1, 0, 0x7fffffffffffffff},  //
    {0x40000100, 0, 0xc0de},              // what a crash would tell
    {0x40000104, 0, 0xdead},              //
};

bool HasHyperV() { return !Must(Kvm::Open())->SupportedHyperVCpuid().empty(); }

// Runs the guest up to its pause point.
GuestVm::Snapshot Fill(GuestVm& guest) {
  Signal paused;
  guest.ports->on_write = [&](const IoAccess&) {
    guest.vcpus->PauseAll([&] { paused.Set(); });
    return ExitDone::Done();
  };
  guest.Store(kWritten, uint64_t{std::size(kPatterns)});
  guest.Write(kWritten + 16, {reinterpret_cast<const char*>(kPatterns), sizeof(kPatterns)});
  guest.BootLong(GUEST_BYTES(know_hyperv));
  EXPECT_TRUE(paused.Wait());
  return guest.Save();
}

std::map<uint32_t, uint64_t> HyperVRegisters(const VcpuState& state) {
  constexpr uint32_t kRuntime = 0x40000010;    // moves by itself
  constexpr uint32_t kHypercall = 0x40000001;  // KVM keeps where a page was that is off
  std::map<uint32_t, uint64_t> registers;
  for (const MsrState& msr : state.msrs) {
    if (msr.index >> 16 == 0x4000 && msr.index != kRuntime) {
      registers[msr.index] = msr.index == kHypercall && (msr.value & 1) == 0 ? 0 : msr.value;
    }
  }
  return registers;
}

TEST_F(KvmGuest, HyperVRegistersSurviveSaveAndLoad) {
  if (!HasHyperV()) {
    GTEST_SKIP() << "this host's KVM has no Hyper-V interface for guests";
  }
  GuestVm guest(1, kModel);
  const GuestVm::Snapshot snapshot = Fill(guest);

  GuestVm other(1, kModel);
  other.Restore(snapshot);
  EXPECT_EQ(HyperVRegisters(Must(other.vcpus->at(0).Save())), HyperVRegisters(snapshot.vcpus[0]));
  other.Resume();
  ASSERT_TRUE(other.ports->WaitFor(1));

  for (size_t i = 0; i < std::size(kPatterns); ++i) {
    const auto read = other.Load<MsrEntry>(kRead + 16 + i * sizeof(MsrEntry));
    EXPECT_EQ(read.index, kPatterns[i].index);
    EXPECT_EQ(read.value, kPatterns[i].value) << std::hex << read.index;
  }
  EXPECT_EQ(other.Load<uint64_t>(kResult) & 0xffff, 0x12U);  // no such connection
}

TEST_F(KvmGuest, ResetForgetsHyperVsRegisters) {
  if (!HasHyperV()) {
    GTEST_SKIP() << "this host's KVM has no Hyper-V interface for guests";
  }
  GuestVm guest(1, kModel);
  const VcpuState made = Must(guest.vcpus->at(0).Save());
  Fill(guest);
  Must(guest.vcpus->ResetAll({}));
  EXPECT_EQ(HyperVRegisters(Must(guest.vcpus->at(0).Save())), HyperVRegisters(made));
}

TEST_F(KvmGuest, HyperVKnowsProcessorsByTheirNumber) {
  if (!HasHyperV()) {
    GTEST_SKIP() << "this host's KVM has no Hyper-V interface for guests";
  }
  GuestVm guest(3, kModel);
  constexpr uint32_t kVpIndex = 0x40000002;
  for (unsigned index = 0; index < 3; ++index) {
    EXPECT_EQ(HyperVRegisters(Must(guest.vcpus->at(index).Save())).at(kVpIndex), index);
  }
}

}  // namespace
}  // namespace nandu

// Interrupts of controllers outside the kernel: the 8259s' through LINT0, the 8254's, the IOAPIC's edges and
// levels with their ends; and more vCPUs than eight bits can name.
#include <sys/eventfd.h>

#include "split_guest.h"

namespace nandu {
namespace {

using Accesses = std::vector<IoAccess>;

constexpr uint64_t kHandler = 0x18000;
constexpr uint64_t kHandler2 = 0x18800;

// The 8259s as firmware sets them up, with vectors 0x40 and 0x48; LINT0 lets them through.
#define SET_UP_8259S                                                    \
  "mov $0x11, %al\n out %al, $0x20\n out %al, $0xa0\n"                  \
  "mov $0x40, %al\n out %al, $0x21\n mov $0x48, %al\n out %al, $0xa1\n" \
  "mov $4, %al\n out %al, $0x21\n mov $2, %al\n out %al, $0xa1\n"       \
  "mov $1, %al\n out %al, $0x21\n out %al, $0xa1\n"                     \
  "lidt 0x5f0\n mov $0xfee00000, %edi\n movl $0x1ff, 0xf0(%rdi)\n"
#define OPEN_LINT0 "movl $0x700, 0x350(%rdi)\n"
#define TELL(port, value) "mov $" #port ", %edx\n mov $" #value ", %al\n out %al, %dx\n"
#define WAIT_FOREVER "1:\n hlt\n jmp 1b\n"

GUEST_CODE(wait_for_8259, 64, SET_UP_8259S OPEN_LINT0 TELL(0x500, 1) "sti\n" WAIT_FOREVER)

// Tells, and ends the interrupt at both 8259s.
GUEST_CODE(tell_and_end_8259, 64, R"(
  mov $0x501, %edx
  mov $0xaa, %al
  out %al, %dx
  mov $0x20, %al
  out %al, $0xa0
  out %al, $0x20
  iretq
)")

const IoAccess kReady = {true, 0, 1, 1};
const IoAccess kInterrupted = {true, 1, 1, 0xaa};

void BootWith8259(SplitGuest& guest, std::span<const char> code, unsigned vector) {
  guest.vm.Write(kHandler, GUEST_BYTES(tell_and_end_8259));
  guest.vm.SetVector(vector, kHandler);
  guest.vm.BootLong(code);
}

TEST_F(KvmGuest, LineOfThe8259sInterruptsAHaltedProcessor) {
  SplitGuest guest;
  const std::unique_ptr<IrqLine> line = guest.irqchip->ClaimGsi(4);
  const std::unique_ptr<IrqLine> behind = guest.irqchip->ClaimGsi(14);
  guest.vm.SetVector(0x4e, kHandler);
  BootWith8259(guest, GUEST_BYTES(wait_for_8259), 0x44);
  ASSERT_TRUE(guest.vm.ports->WaitFor(1));
  line->Set(true);
  ASSERT_TRUE(guest.vm.ports->WaitFor(2));
  line->Set(false);
  behind->Set(true);
  ASSERT_TRUE(guest.vm.ports->WaitFor(3));
  line->Set(true);
  ASSERT_TRUE(guest.vm.ports->WaitFor(4));
  EXPECT_EQ(guest.vm.ports->accesses(), (Accesses{kReady, kInterrupted, kInterrupted, kInterrupted}));
  EXPECT_EQ(guest.vm.vcpus->at(0).counters().external.value(), 3U);
}

// The line rises while the guest serves nothing: first its flag, then LINT0 stands in the way.
GUEST_CODE(open_step_by_step, 64, SET_UP_8259S R"(
  movl $0x10700, 0x350(%rdi)
  mov $0x502, %edx
  in %dx, %al
  mov $0x500, %edx
  mov $1, %al
  out %al, %dx
  sti
  nop
  mov $2, %al
  out %al, %dx
  cli
  movl $0x700, 0x350(%rdi)
  mov $3, %al
  out %al, %dx
  sti
1:
  hlt
  jmp 1b
)")

TEST_F(KvmGuest, The8259sWaitForTheInterruptFlagAndForLint0) {
  SplitGuest guest;
  const std::unique_ptr<IrqLine> line = guest.irqchip->ClaimGsi(4);
  guest.vm.ports->on_read = [&](const IoAccess&) {
    line->Set(true);
    return uint64_t{0};
  };
  BootWith8259(guest, GUEST_BYTES(open_step_by_step), 0x44);
  ASSERT_TRUE(guest.vm.ports->WaitFor(5));
  EXPECT_EQ(guest.vm.ports->accesses(),
            (Accesses{{false, 2, 1, 0}, {true, 0, 1, 1}, {true, 0, 1, 2}, {true, 0, 1, 3}, kInterrupted}));
}

// Counter 0 as a rate generator of 1000 ticks.
GUEST_CODE(wait_for_8254, 64, SET_UP_8259S OPEN_LINT0 R"(
  mov $0x34, %al
  out %al, $0x43
  mov $0xe8, %al
  out %al, $0x40
  mov $0x03, %al
  out %al, $0x40
  mov $0x500, %edx
  mov $1, %al
  out %al, %dx
  sti
1:
  hlt
  jmp 1b
)")

TEST_F(KvmGuest, TimerInterruptsAtEachPeriod) {
  SplitGuest guest;
  BootWith8259(guest, GUEST_BYTES(wait_for_8254), 0x40);
  ASSERT_TRUE(guest.vm.ports->WaitFor(1));
  for (size_t period = 1; period <= 3; ++period) {
    guest.host.fake_clock.Advance(838'200);
    ASSERT_TRUE(guest.vm.ports->WaitFor(1 + period));
  }
  EXPECT_EQ(guest.vm.ports->accesses(), (Accesses{kReady, kInterrupted, kInterrupted, kInterrupted}));
}

// Pin 4 sends vector 0x40 at edges, pin 20 vector 0x41 while it is high. LINT0 keeps the 8259s out, which
// have line 4 as well and no vectors yet.
GUEST_CODE(wait_for_ioapic, 64, R"(
  lidt 0x5f0
  mov $0xfee00000, %edi
  movl $0x1ff, 0xf0(%rdi)
  movl $0x10700, 0x350(%rdi)
  mov $0xfec00000, %edi
  movl $0x18, (%rdi)
  movl $0x40, 0x10(%rdi)
  movl $0x38, (%rdi)
  movl $0x8041, 0x10(%rdi)
  mov $0x500, %edx
  mov $1, %al
  out %al, %dx
  sti
1:
  hlt
  jmp 1b
)")

GUEST_CODE(tell_edge, 64, TELL(0x501, 0xaa) "mov $0xfee000b0, %edi\n movl $0, (%rdi)\n iretq\n")
GUEST_CODE(tell_level, 64, TELL(0x502, 0xbb) "mov $0xfee000b0, %edi\n movl $0, (%rdi)\n iretq\n")

const IoAccess kLevelInterrupt = {true, 2, 1, 0xbb};
constexpr uint32_t kRemoteIrr = 1U << 14;

void BootWithIoApic(SplitGuest& guest) {
  guest.vm.Write(kHandler, GUEST_BYTES(tell_edge));
  guest.vm.Write(kHandler2, GUEST_BYTES(tell_level));
  guest.vm.SetVector(0x40, kHandler);
  guest.vm.SetVector(0x41, kHandler2);
  guest.vm.BootLong(GUEST_BYTES(wait_for_ioapic));
}

TEST_F(KvmGuest, IoApicsEdgesInterruptOnceEach) {
  SplitGuest guest;
  const std::unique_ptr<IrqLine> line = guest.irqchip->ClaimGsi(4);
  BootWithIoApic(guest);
  ASSERT_TRUE(guest.vm.ports->WaitFor(1));
  for (size_t edge = 1; edge <= 3; ++edge) {
    line->Set(true);
    ASSERT_TRUE(guest.vm.ports->WaitFor(1 + edge));
    line->Set(false);
  }
  EXPECT_EQ(guest.vm.ports->accesses(), (Accesses{kReady, kInterrupted, kInterrupted, kInterrupted}));
}

TEST_F(KvmGuest, IoApicsLevelInterruptsAtEachEndUntilItsLastSourceIsLow) {
  SplitGuest guest;
  const std::unique_ptr<IrqLine> first = guest.irqchip->ClaimGsi(20);
  const std::unique_ptr<IrqLine> second = guest.irqchip->ClaimGsi(20);
  first->Set(true);
  second->Set(true);
  unsigned interrupts = 0;
  guest.vm.ports->on_write = [&](const IoAccess& access) {
    if (access.offset == 2) {
      (++interrupts == 1 ? first : second)->Set(false);
    }
    return ExitDone::Done();
  };
  BootWithIoApic(guest);
  ASSERT_TRUE(guest.vm.ports->WaitFor(3));
  const std::unique_ptr<IrqLine> edge = guest.irqchip->ClaimGsi(4);
  edge->Set(true);  // is served once the level's second end was told
  ASSERT_TRUE(guest.vm.ports->WaitFor(4));
  EXPECT_EQ(guest.vm.ports->accesses(), (Accesses{kReady, kLevelInterrupt, kLevelInterrupt, kInterrupted}));
  ASSERT_TRUE(guest.vm.Pause());
  EXPECT_EQ(guest.IoApicEntry(20) & kRemoteIrr, 0U);
}

// An eventfd on a pin interrupts as the pin's entry says, and no more once it is masked.
TEST_F(KvmGuest, IrqFdOfAnIoApicPinFollowsItsEntry) {
  SplitGuest guest;
  const std::unique_ptr<IrqLine> level = guest.irqchip->ClaimGsi(20);
  guest.vm.ports->on_write = [&](const IoAccess& access) {  // set once: vCPUs look at it from now on
    if (access.offset == 2) {
      level->Set(false);
    }
    return ExitDone::Done();
  };
  BootWithIoApic(guest);
  ASSERT_TRUE(guest.vm.ports->WaitFor(1));
  const UniqueFd fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  Must(guest.vm.router->SetIrqFd(4, fd.get(), true));
  const uint64_t one = 1;
  ASSERT_EQ(write(fd.get(), &one, sizeof(one)), 8);
  ASSERT_TRUE(guest.vm.ports->WaitFor(2));
  EXPECT_EQ(guest.vm.ports->accesses().back(), kInterrupted);
  guest.IoApicEntry(4);
  static_cast<void>(guest.vm.memory_space.Write(0xfec00010, 4, 0x10040));
  ASSERT_EQ(write(fd.get(), &one, sizeof(one)), 8);
  level->Set(true);
  ASSERT_TRUE(guest.vm.ports->WaitFor(3));
  EXPECT_EQ(guest.vm.ports->accesses().back(), kLevelInterrupt);
  ASSERT_TRUE(guest.vm.Pause());  // a handler may still use the line
}

// A guest is saved inside the handler of a level interrupt, and goes on elsewhere.
TEST_F(KvmGuest, LevelInServiceAndItsControllersSurviveSaveAndLoad) {
  std::vector<std::byte> devices;
  GuestVm::Snapshot snapshot;
  {
    SplitGuest guest;
    const std::unique_ptr<IrqLine> line = guest.irqchip->ClaimGsi(20);
    Signal paused;
    guest.vm.ports->on_write = [&](const IoAccess& access) {
      if (access.offset == 2) {
        guest.vm.vcpus->PauseAll([&] { paused.Set(); });
      }
      return ExitDone::Done();
    };
    BootWithIoApic(guest);
    ASSERT_TRUE(guest.vm.ports->WaitFor(1));
    line->Set(true);
    ASSERT_TRUE(paused.Wait());
    EXPECT_NE(guest.IoApicEntry(20) & kRemoteIrr, 0U);
    devices = guest.SaveDevices();
    snapshot = guest.vm.Save();
  }
  SplitGuest other;
  const std::unique_ptr<IrqLine> line = other.irqchip->ClaimGsi(20);
  other.vm.ports->on_write = [&](const IoAccess&) {
    line->Set(false);
    return ExitDone::Done();
  };
  other.LoadDevices(devices);
  EXPECT_EQ(other.SaveDevices(), devices);
  other.vm.Restore(snapshot);
  other.ResumeDevices();
  line->Set(true);
  other.vm.Resume();
  // The handler ends the interrupt, and the line is still high.
  ASSERT_TRUE(other.vm.ports->WaitFor(1));
  ASSERT_TRUE(other.vm.Pause());  // its handler has lowered the line, and uses it no more
  EXPECT_EQ(other.vm.ports->accesses(), (Accesses{kLevelInterrupt}));
}

TEST_F(KvmGuest, AcknowledgedInterruptThatWasNotDeliveredIsSavedWithItsVcpu) {
  GuestVm::Snapshot snapshot;
  {
    SplitGuest guest;
    BootWith8259(guest, GUEST_BYTES(wait_for_8259), 0x44);
    ASSERT_TRUE(guest.vm.ports->WaitFor(1));
    ASSERT_TRUE(guest.vm.Pause());
    snapshot = guest.vm.Save();
    EXPECT_TRUE(snapshot.vcpus[0].external_vectors.empty());
  }
  snapshot.vcpus[0].external_vectors = {0x44};
  SplitGuest other;
  other.vm.Restore(snapshot);
  EXPECT_EQ(Must(other.vm.vcpus->at(0).Save()).external_vectors, std::vector<uint8_t>{0x44});
  other.vm.Resume();
  ASSERT_TRUE(other.vm.ports->WaitFor(1));
  EXPECT_EQ(other.vm.ports->accesses(), (Accesses{kInterrupted}));
}

// Every processor enables its local APIC in x2APIC mode, says in a table that it is there, and waits for
// vector 0x40, at which it tells its x2APIC id. In real mode, at 0x8000.
GUEST_CODE(application_processor, 16, R"(
  cli
  xor %ax, %ax
  mov %ax, %ds
  mov $0x1b, %ecx
  rdmsr
  or $0xc00, %eax
  wrmsr
  mov $0x80f, %ecx
  mov $0x1ff, %eax
  xor %edx, %edx
  wrmsr
  mov $0xb, %eax
  xor %ecx, %ecx
  cpuid
  movb $1, 0x4000(%edx)
  lock incl 0x7000
  sti
1:
  hlt
  jmp 1b
)")
GUEST_CODE(tell_x2apic_id, 16, R"(
  mov $0xb, %eax
  xor %ecx, %ecx
  cpuid
  mov %edx, %eax
  mov $0x500, %dx
  out %eax, %dx
  mov $0x80b, %ecx
  xor %eax, %eax
  xor %edx, %edx
  wrmsr
  iret
)")

// The first processor wakes all others, by INIT and SIPI to everyone but itself.
GUEST_CODE(wake_everyone, 64, R"(
  mov $0x1b, %ecx
  rdmsr
  or $0xc00, %eax
  wrmsr
  mov $0x830, %ecx
  xor %edx, %edx
  mov $0xc4500, %eax
  wrmsr
  mov $0xc4608, %eax
  wrmsr
2:
  pause
  mov 0x7000, %eax
  cmp 0x7004, %eax
  jb 2b
  mov $0x501, %edx
  out %al, %dx
1:
  hlt
  jmp 1b
)")

TEST_F(KvmGuest, MoreVcpusThanEightBitsNameAllAnswerAndTakeMessages) {
  constexpr unsigned kVcpus = 260;
  {
    const std::unique_ptr<Kvm> kvm = Must(Kvm::Open());
    if (kvm->cap(KVM_CAP_MAX_VCPUS) < static_cast<int>(kVcpus) || !kvm->has(KVM_CAP_X2APIC_API)) {
      GTEST_SKIP() << "this host's KVM has room for " << kvm->cap(KVM_CAP_MAX_VCPUS) << " vCPUs";
    }
  }
  SplitGuest guest(kVcpus);
  guest.vm.Write(0x8000, GUEST_BYTES(application_processor));
  guest.vm.Write(0x8800, GUEST_BYTES(tell_x2apic_id));
  guest.vm.Store(0x40 * 4, uint32_t{0x8800});  // real mode: offset, segment
  guest.vm.Store(0x7004, uint32_t{kVcpus - 1});
  guest.vm.BootLong(GUEST_BYTES(wake_everyone));
  ASSERT_TRUE(guest.vm.ports->WaitFor(1, std::chrono::seconds(100)));
  for (unsigned id = 1; id < kVcpus; ++id) {
    EXPECT_EQ(guest.vm.Load<uint8_t>(0x4000 + id), 1) << "the processor with x2APIC id " << id;
  }
  // Destination 258, as a guest with KVM's extended destinations writes it: bits 14:8 in address bits 11:5.
  const std::unique_ptr<MsiVector> vector = Must(guest.vm.msi->Allocate());
  vector->SetMessage({0xfee00000 | 258 % 256 << 12 | 258 / 256 << 5, 0x40});
  vector->Notify();
  ASSERT_TRUE(guest.vm.ports->WaitFor(2));
  EXPECT_EQ(guest.vm.ports->accesses().back(), (IoAccess{true, 0, 4, 258}));
  // And an IOAPIC pin's, in entry bits 55:49.
  static_cast<void>(guest.vm.memory_space.Write(0xfec00000, 4, 0x10 + 2 * 5 + 1));
  static_cast<void>(guest.vm.memory_space.Write(0xfec00010, 4, 259 % 256 << 24 | 259 / 256 << 17));
  static_cast<void>(guest.vm.memory_space.Write(0xfec00000, 4, 0x10 + 2 * 5));
  static_cast<void>(guest.vm.memory_space.Write(0xfec00010, 4, 0x40));
  guest.irqchip->ClaimGsi(5)->Set(true);
  ASSERT_TRUE(guest.vm.ports->WaitFor(3));
  EXPECT_EQ(guest.vm.ports->accesses().back(), (IoAccess{true, 0, 4, 259}));
}

}  // namespace
}  // namespace nandu

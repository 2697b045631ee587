// A guest that fills every register, MSR and XSAVE component with a pattern, is saved, goes on in a fresh VM,
// and tells what it finds there.
#include <map>

#include "guest_vm.h"
#include "vcpu/msrs.h"

namespace nandu {
namespace {

// Where guest and test exchange their tables.
constexpr uint64_t kMsrTable = 0x40000;  // count, then 16-byte entries: index, faulted, value
constexpr uint64_t kMsrsSeen = 0x44000;  // the same after the load
constexpr uint64_t kXcr0 = 0x4f000;      // 0: no XSAVE in this model
constexpr uint64_t kXsavePattern = 0x50000;
constexpr uint64_t kXsaveSeen = 0x60000;
constexpr uint64_t kSeen = 0x70000;  // 64-bit words, see Seen
constexpr uint64_t kFaultHandler = 0x19000;

// #GP of RDMSR or WRMSR: two bytes on, with a note.
GUEST_CODE(skip_msr, 64, R"(
  add $8, %rsp
  addq $2, (%rsp)
  movl $1, 0x48100
  iretq
)")

GUEST_CODE(fill_everything, 64, R"(
  lidt 0x5f0
  # SSE and, where the model has it, XSAVE
  mov %cr0, %rax
  and $~4, %rax
  or $0x10022, %rax
  mov %rax, %cr0
  mov %cr4, %rax
  or $0x600, %rax
  cmpq $0, 0x4f000
  je 1f
  or $0x40000, %rax
1:
  mov %rax, %cr4
  cmpq $0, 0x4f000
  je 2f
  xor %ecx, %ecx
  mov 0x4f000, %eax
  mov 0x4f004, %edx
  xsetbv
2:
  # local APIC: enabled, logical destination, LVTs, TSC deadline mode (masked)
  mov $0xfee00000, %edi
  movl $0x1ff, 0xf0(%rdi)
  movl $0x05000000, 0xd0(%rdi)
  movl $0x10033, 0x350(%rdi)
  movl $0x10034, 0x360(%rdi)
  movl $0x50050, 0x320(%rdi)
  mfence
  # An emulated host may run XSETBV without telling KVM, which then takes it back at the next exit: no XSAVE there
  cmpq $0, 0x4f000
  je 11f
  xor %ecx, %ecx
  xgetbv
  cmp 0x4f000, %eax
  je 11f
  movq $0, 0x4f000
  mov %cr4, %rax
  and $~0x40000, %rax
  mov %rax, %cr4
11:
  # MSRs
  mov 0x40000, %rbx
  mov $0x40010, %esi
3:
  test %rbx, %rbx
  jz 4f
  movl $0, 0x48100
  mov (%rsi), %ecx
  mov 8(%rsi), %eax
  mov 12(%rsi), %edx
  wrmsr
  mov 0x48100, %eax
  mov %eax, 4(%rsi)
  add $16, %rsi
  dec %rbx
  jmp 3b
4:
  # debug registers, CR2, CR8
  mov $0x11223340, %rax
  mov %rax, %dr0
  mov $0x11223350, %rax
  mov %rax, %dr1
  mov $0x11223360, %rax
  mov %rax, %dr2
  mov $0x11223370, %rax
  mov %rax, %dr3
  mov $0x402, %rax
  mov %rax, %dr7
  mov $0x77665544332211, %rax
  mov %rax, %cr2
  mov $5, %eax
  mov %rax, %cr8
  # extended state
  mov $0x50000, %edi
  cmpq $0, 0x4f000
  je 5f
  mov 0x4f000, %eax
  mov 0x4f004, %edx
  xrstor64 (%rdi)
  jmp 6f
5:
  fxrstor64 (%rdi)
6:
  # flags: CF PF AF ZF SF OF, ID
  pushq $0x2008d7
  popfq
  mov $0x1111111111111111, %rax
  mov $0x3333333333333333, %rbx
  mov $0x4444444444444444, %rcx
  mov $0x2222222222220500, %rdx
  mov $0x5555555555555555, %rsi
  mov $0x6666666666666666, %rdi
  mov $0x7777777777777777, %rbp
  mov $0x8888888888888888, %r8
  mov $0x9999999999999999, %r9
  mov $0xaaaaaaaaaaaaaaaa, %r10
  mov $0xbbbbbbbbbbbbbbbb, %r11
  mov $0xcccccccccccccccc, %r12
  mov $0xdddddddddddddddd, %r13
  mov $0xeeeeeeeeeeeeeeee, %r14
  mov $0xffffffffffffffff, %r15
  out %al, %dx
  # here the guest goes on in another VM
  mov %rax, 0x70000
  mov %rbx, 0x70008
  mov %rcx, 0x70010
  mov %rdx, 0x70018
  mov %rsi, 0x70020
  mov %rdi, 0x70028
  mov %rbp, 0x70030
  mov %rsp, 0x70038
  mov %r8, 0x70040
  mov %r9, 0x70048
  mov %r10, 0x70050
  mov %r11, 0x70058
  mov %r12, 0x70060
  mov %r13, 0x70068
  mov %r14, 0x70070
  mov %r15, 0x70078
  pushfq
  pop %rax
  mov %rax, 0x70080
  mov $0x60000, %edi
  cmpq $0, 0x4f000
  je 7f
  mov 0x4f000, %eax
  mov 0x4f004, %edx
  xsave64 (%rdi)
  xor %ecx, %ecx
  xgetbv
  mov %eax, 0x700e0
  mov %edx, 0x700e4
  jmp 8f
7:
  fxsave64 (%rdi)
8:
  mov %dr0, %rax
  mov %rax, 0x70088
  mov %dr1, %rax
  mov %rax, 0x70090
  mov %dr2, %rax
  mov %rax, 0x70098
  mov %dr3, %rax
  mov %rax, 0x700a0
  mov %dr7, %rax
  mov %rax, 0x700a8
  mov %cr0, %rax
  mov %rax, 0x700b0
  mov %cr2, %rax
  mov %rax, 0x700b8
  mov %cr3, %rax
  mov %rax, 0x700c0
  mov %cr4, %rax
  mov %rax, 0x700c8
  mov %cr8, %rax
  mov %rax, 0x700d0
  xor %eax, %eax
  mov %rax, %cr8
  mov $0xfee00000, %edi
  mov 0xf0(%rdi), %eax
  mov %eax, 0x700e8
  mov 0xd0(%rdi), %eax
  mov %eax, 0x700f0
  mov 0x350(%rdi), %eax
  mov %eax, 0x700f8
  mov 0x360(%rdi), %eax
  mov %eax, 0x70100
  mov 0x320(%rdi), %eax
  mov %eax, 0x70108
  mov 0x40000, %rbx
  mov $0x40010, %esi
  mov $0x44010, %edi
9:
  test %rbx, %rbx
  jz 10f
  movl $0, 0x48100
  mov (%rsi), %ecx
  xor %eax, %eax
  xor %edx, %edx
  rdmsr
  mov %ecx, (%rdi)
  mov %eax, 8(%rdi)
  mov %edx, 12(%rdi)
  mov 0x48100, %eax
  mov %eax, 4(%rdi)
  add $16, %rsi
  add $16, %rdi
  dec %rbx
  jmp 9b
10:
  mov $0x501, %edx
  out %al, %dx
  hlt
)")

struct MsrEntry {
  uint32_t index;
  uint32_t faulted;
  uint64_t value;
};

// Values a CPU takes; what this one does not have faults and is left out by the guest.
constexpr MsrEntry kMsrPatterns[] = {
    {0x174, 0, 0x10},                // SYSENTER_CS
    {0x175, 0, 0x56789abc},          // SYSENTER_ESP
    {0x176, 0, 0x56789abd},          // SYSENTER_EIP
    {0x277, 0, 0x0007010600070106},  // PAT
    {0x200, 0, 0x80000006},          // MTRR
    {0x201, 0, 0x0000000f80000800},
    {0x250, 0, 0x0606060606060606},
    {0x258, 0, 0x0606060606060600},
    {0x259, 0, 0x0000000000000006},
    {0x268, 0, 0x0505050505050505},
    {0x26f, 0, 0x0604050606040506},
    {0x2ff, 0, 0xc06},
    {0xc0000081, 0, 0x0023001000000000},  // STAR
    {0xc0000082, 0, 0x00001122334455aa},  // LSTAR
    {0xc0000083, 0, 0x00001122334455bb},  // CSTAR
    {0xc0000084, 0, 0x47700},             // SFMASK
    {0xc0000100, 0, 0x0000112233445500},  // FS base
    {0xc0000101, 0, 0x0000112233445600},  // GS base
    {0xc0000102, 0, 0x0000112233445700},  // kernel GS base
    {0xc0000103, 0, 0x2a},                // TSC_AUX
    {0x4b564d01, 0, 0x7d001},             // kvmclock
    {0x4b564d03, 0, 0x7e001},             // steal time
    {0x4b564d04, 0, 0x7f001},             // PV end of interrupt
    {0x17a, 0, 0x5},                      // MCG_STATUS
    {0x6e0, 0, 0x00ffffffffffffff},       // TSC deadline: far away
};

constexpr uint64_t kMpx = 3U << 3;  // its registers have reserved bits
constexpr uint64_t kAmx = uint64_t{3} << 17;

std::vector<std::pair<uint64_t, uint64_t>> FillXsave(GuestVm& guest) {
  const std::vector<kvm_cpuid_entry2>& cpuid = guest.vcpus->at(0).cpuid();
  const kvm_cpuid_entry2* state = FindCpuid(cpuid, 0xd);
  const uint64_t mask = state == nullptr ? 0 : (uint64_t{state->edx} << 32 | state->eax) & ~kMpx & ~kAmx;
  guest.Store(kXcr0, mask);
  const auto byte = [](uint64_t at) { return static_cast<uint8_t>(at * 7 + 1); };
  // x87 and SSE (SDM volume 1, 10.5.1): control words with their usual values, eight 80-bit and sixteen
  // 128-bit registers.
  guest.Store(kXsavePattern + 0, uint16_t{0x37f});
  guest.Store(kXsavePattern + 4, uint8_t{0xff});
  guest.Store(kXsavePattern + 24, uint32_t{0x1f80});
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (uint64_t i = 0; i < 8; ++i) {
    ranges.emplace_back(32 + i * 16, 10);
  }
  ranges.emplace_back(160, 256);
  for (uint32_t component = 2; component < 63; ++component) {
    const kvm_cpuid_entry2* entry = FindCpuid(cpuid, 0xd, component);
    if ((mask >> component & 1) != 0 && entry != nullptr) {
      ranges.emplace_back(entry->ebx, component == 9 ? 4 : entry->eax);
    }
  }
  for (const auto& [offset, bytes] : ranges) {
    for (uint64_t i = 0; i < bytes; ++i) {
      guest.Store(kXsavePattern + offset + i, byte(offset + i));
    }
  }
  guest.Store(kXsavePattern + 512, mask);  // XSTATE_BV
  return ranges;
}

struct Filled {
  GuestVm::Snapshot snapshot;
  std::vector<std::pair<uint64_t, uint64_t>> xsave_ranges;
};

// Runs the guest up to its pause point.
Filled Fill(GuestVm& guest) {
  Filled filled;
  Signal paused;
  guest.ports->on_write = [&](const IoAccess&) {
    guest.vcpus->PauseAll([&] { paused.Set(); });
    return ExitDone::Done();
  };
  filled.xsave_ranges = FillXsave(guest);
  guest.Store(kMsrTable, uint64_t{std::size(kMsrPatterns)});
  guest.Write(kMsrTable + 16, {reinterpret_cast<const char*>(kMsrPatterns), sizeof(kMsrPatterns)});
  guest.Write(kFaultHandler, GUEST_BYTES(skip_msr));
  guest.SetVector(13, kFaultHandler);
  guest.BootLong(GUEST_BYTES(fill_everything));
  EXPECT_TRUE(paused.Wait());
  filled.snapshot = guest.Save();
  return filled;
}

TEST_F(KvmGuest, EveryRegisterMsrAndXsaveComponentSurvivesSaveAndLoad) {
  GuestVm guest;
  const Filled filled = Fill(guest);

  GuestVm other;
  other.Restore(filled.snapshot);
  other.Resume();
  ASSERT_TRUE(other.ports->WaitFor(1));
  EXPECT_EQ(other.ports->accesses().front().offset, 1U);

  const auto seen = [&](uint64_t offset) { return other.Load<uint64_t>(kSeen + offset); };
  EXPECT_EQ(seen(0x00), 0x1111111111111111U);
  EXPECT_EQ(seen(0x08), 0x3333333333333333U);
  EXPECT_EQ(seen(0x10), 0x4444444444444444U);
  EXPECT_EQ(seen(0x18), 0x2222222222220500U);
  EXPECT_EQ(seen(0x20), 0x5555555555555555U);
  EXPECT_EQ(seen(0x28), 0x6666666666666666U);
  EXPECT_EQ(seen(0x30), 0x7777777777777777U);
  EXPECT_EQ(seen(0x38), GuestVm::kStack);
  for (uint64_t i = 8; i < 16; ++i) {
    EXPECT_EQ(seen(i * 8), 0x1111111111111111U * i) << "r" << i;
  }
  EXPECT_EQ(seen(0x80), 0x2008d7U);
  EXPECT_EQ(seen(0x88), 0x11223340U);
  EXPECT_EQ(seen(0x90), 0x11223350U);
  EXPECT_EQ(seen(0x98), 0x11223360U);
  EXPECT_EQ(seen(0xa0), 0x11223370U);
  EXPECT_EQ(seen(0xa8), 0x402U);
  EXPECT_EQ(seen(0xb8), 0x77665544332211U);
  EXPECT_EQ(seen(0xd0), 5U);
  EXPECT_EQ(seen(0xe0), other.Load<uint64_t>(kXcr0));
  EXPECT_EQ(seen(0xe8), 0x1ffU);
  EXPECT_EQ(seen(0xf0), 0x05000000U);
  EXPECT_EQ(seen(0xf8), 0x10033U);
  EXPECT_EQ(seen(0x100), 0x10034U);
  EXPECT_EQ(seen(0x108), 0x50050U);

  for (size_t i = 0; i < std::size(kMsrPatterns); ++i) {
    const auto written = other.Load<MsrEntry>(kMsrTable + 16 + i * sizeof(MsrEntry));
    const auto read = other.Load<MsrEntry>(kMsrsSeen + 16 + i * sizeof(MsrEntry));
    if (written.faulted == 0) {
      EXPECT_EQ(read.faulted, 0U) << std::hex << written.index;
      EXPECT_EQ(read.value, written.value) << std::hex << written.index;
    }
  }
  const bool fxsave_only = other.Load<uint64_t>(kXcr0) == 0;
  for (const auto& [offset, bytes] : filled.xsave_ranges) {
    if (fxsave_only && offset >= 512) {
      continue;
    }
    EXPECT_EQ(std::memcmp(other.ram->host() + kXsavePattern + offset, other.ram->host() + kXsaveSeen + offset,
                          bytes),
              0)
        << "extended state at " << offset;
  }
}

// What moves by itself between two saves.
std::map<uint32_t, uint64_t> StillMsrs(const VcpuState& state) {
  std::map<uint32_t, uint64_t> msrs;
  for (const MsrState& msr : state.msrs) {
    if (msr.index != msr::kTsc) {
      msrs[msr.index] = msr.value;
    }
  }
  return msrs;
}

TEST_F(KvmGuest, SaveLoadSaveGivesTheSameState) {
  GuestVm guest;
  const Filled filled = Fill(guest);
  const VcpuState& before = filled.snapshot.vcpus[0];

  GuestVm other;
  other.Restore(filled.snapshot);
  const VcpuState after = Must(other.vcpus->at(0).Save());
  EXPECT_EQ(after.regs, before.regs);
  EXPECT_EQ(after.sregs, before.sregs);
  EXPECT_EQ(after.xsave, before.xsave);
  EXPECT_EQ(after.xcrs, before.xcrs);
  EXPECT_EQ(after.debug, before.debug);
  EXPECT_EQ(after.events, before.events);
  EXPECT_EQ(after.mp_state, before.mp_state);
  EXPECT_EQ(after.lapic, before.lapic);
  EXPECT_EQ(after.cpuid, before.cpuid);
  EXPECT_EQ(StillMsrs(after), StillMsrs(before));
}

TEST_F(KvmGuest, GuestTimeGoesOnAfterALoad) {
  GuestVm guest;
  const Filled filled = Fill(guest);
  const auto tsc_of = [](const VcpuState& state) {
    for (const MsrState& msr : state.msrs) {
      if (msr.index == msr::kTsc) {
        return msr.value;
      }
    }
    return uint64_t{0};
  };
  GuestVm other;
  other.Restore(filled.snapshot);
  const VcpuState after = Must(other.vcpus->at(0).Save());
  const uint64_t ten_seconds = uint64_t{after.tsc_khz} * 10'000;
  EXPECT_GE(tsc_of(after), tsc_of(filled.snapshot.vcpus[0]));
  EXPECT_LT(tsc_of(after) - tsc_of(filled.snapshot.vcpus[0]), ten_seconds);
  EXPECT_GE(Must(other.vm->GetClock()), filled.snapshot.clock_ns);
}

TEST_F(KvmGuest, ResetForgetsWhatTheGuestFilledIn) {
  GuestVm guest;
  const VcpuState made = Must(guest.vcpus->at(0).Save());
  Fill(guest);
  Must(guest.vcpus->ResetAll({}));
  const VcpuState reset = Must(guest.vcpus->at(0).Save());
  EXPECT_EQ(reset.regs, made.regs);
  EXPECT_EQ(reset.sregs, made.sregs);
  EXPECT_EQ(reset.xsave, made.xsave);
  EXPECT_EQ(reset.xcrs, made.xcrs);
  EXPECT_EQ(reset.debug, made.debug);
  EXPECT_EQ(reset.mp_state, made.mp_state);
  EXPECT_EQ(reset.lapic, made.lapic);
  EXPECT_EQ(StillMsrs(reset), StillMsrs(made));
}

TEST_F(KvmGuest, StateOfAnotherCpuModelIsRefusedWithASentence) {
  GuestVm guest(1, "qemu64");
  GuestVm other(1, "host");
  const VcpuState state = Must(guest.vcpus->at(0).Save());
  const Result<> loaded = other.vcpus->at(0).Load(state, LoadKind::kFresh);
  ASSERT_FALSE(loaded.has_value());
  EXPECT_NE(loaded.error().message.find("use the same CPU model"), std::string::npos);
}

}  // namespace
}  // namespace nandu

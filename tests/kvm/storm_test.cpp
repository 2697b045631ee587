// Many kicks, pauses and memory changes against vCPUs that run: nothing hangs, no access goes astray, no
// count is lost.
#include <sys/prctl.h>

#include "guest_vm.h"

namespace nandu {
namespace {

constexpr uint64_t kCounters = 0x30000;  // one 64-bit word a vCPU, 64 bytes apart
constexpr uint64_t kApCode = 0x8000;

// Sends INIT and SIPI to all others (SDM volume 3, 8.4.4.1), then counts like them.
GUEST_CODE(start_others, 32, R"(
  mov $0xfee00000, %edi
  movl $0x1ff, 0xf0(%edi)
  movl $0xc4500, 0x300(%edi)
  movl $0xc4608, 0x300(%edi)
  movl $0xc4608, 0x300(%edi)
  xor %ebx, %ebx
1:
  incl 0x30000(%ebx)
  adcl $0, 0x30004(%ebx)
  pause
  jmp 1b
)")

// An application processor, in real mode at 0x8000: takes a number and counts in its own word.
GUEST_CODE(count_in_real_mode, 16, R"(
  mov $0x3000, %ax
  mov %ax, %ds
  mov $1, %ax
  lock xaddw %ax, 0xff00
  inc %ax
  shl $6, %ax
  mov %ax, %bx
1:
  incl (%bx)
  pause
  jmp 1b
)")

uint64_t CountOf(const GuestVm& guest, unsigned vcpu) { return guest.Load<uint32_t>(kCounters + vcpu * 64); }

void StartCounting(GuestVm& guest) {
  guest.Write(kApCode, GUEST_BYTES(count_in_real_mode));
  guest.BootProtected(GUEST_BYTES(start_others));
}

bool AllCount(const GuestVm& guest) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  for (unsigned i = 0; i < guest.vcpus->size(); ++i) {
    while (CountOf(guest, i) == 0) {
      if (std::chrono::steady_clock::now() > deadline) {
        return false;
      }
      std::this_thread::yield();
    }
  }
  return true;
}

TEST_F(KvmGuest, VcpuThreadsAreNamedAsQemuNamesThem) {
  GuestVm guest(2);
  Signal ran;
  std::string name(16, '\0');
  guest.vcpus->at(1).RunOn([&] {
    prctl(PR_GET_NAME, name.data());
    ran.Set();
  });
  ASSERT_TRUE(ran.Wait());
  EXPECT_STREQ(name.c_str(), "CPU 1/KVM");
}

TEST_F(KvmGuest, ApplicationProcessorsWaitForTheirStartup) {
  GuestVm guest(4);
  StartCounting(guest);
  EXPECT_TRUE(AllCount(guest));
}

TEST_F(KvmGuest, KickStormOnlyInterrupts) {
  GuestVm guest(2);
  StartCounting(guest);
  ASSERT_TRUE(AllCount(guest));
  for (int i = 0; i < 500; ++i) {
    guest.vcpus->at(0).Kick();
    guest.vcpus->at(1).Kick();
  }
  Signal alive;
  guest.vcpus->at(0).RunOn([&] { alive.Set(); });
  guest.vcpus->at(1).RunOn([&] { alive.Set(); });
  ASSERT_TRUE(alive.Wait(2));
  EXPECT_EQ(guest.vcpus->at(0).counters().memory_exits.value(), 0U);
}

TEST_F(KvmGuest, PauseAndResumeStormKeepsEveryVcpuStillWhilePaused) {
  GuestVm guest(4);
  StartCounting(guest);
  ASSERT_TRUE(AllCount(guest));
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(guest.Pause());
    const uint64_t before[] = {CountOf(guest, 0), CountOf(guest, 1), CountOf(guest, 2), CountOf(guest, 3)};
    for (unsigned vcpu = 0; vcpu < 4; ++vcpu) {
      EXPECT_TRUE(guest.vcpus->at(vcpu).paused());
      EXPECT_EQ(CountOf(guest, vcpu), before[vcpu]);
    }
    guest.Resume();
  }
}

TEST_F(KvmGuest, PauseRightAfterResumeAndTheOtherWayRoundLosesNoAnswer) {
  GuestVm guest(2);
  StartCounting(guest);
  Signal answers;
  for (int i = 0; i < 200; ++i) {
    guest.vcpus->PauseAll([&] { answers.Set(); });
    guest.vcpus->ResumeAll();
  }
  guest.vcpus->PauseAll([&] { answers.Set(); });
  EXPECT_TRUE(answers.Wait(201));
}

TEST_F(KvmGuest, MemorySlotsChangeUnderRunningVcpusUnseen) {
  GuestVm guest(4);
  StartCounting(guest);
  ASSERT_TRUE(AllCount(guest));
  // A page of registers comes and goes in the middle of the guest's RAM: KVM must drop the slot its code and
  // counters are in each time.
  Mapping hole = Must(guest.memory_space.Map(0x100000, Region::Io(guest.mmio, 0x1000), 1));
  for (int i = 0; i < 50; ++i) {
    hole.SetEnabled(i % 2 == 0);
  }
  const uint64_t before = CountOf(guest, 3);
  ASSERT_TRUE(guest.Pause());
  guest.Resume();
  while (CountOf(guest, 3) == before) {
    std::this_thread::yield();
  }
  for (unsigned vcpu = 0; vcpu < 4; ++vcpu) {
    EXPECT_EQ(guest.vcpus->at(vcpu).counters().memory_exits.value(), 0U);
    EXPECT_FALSE(guest.vcpus->at(vcpu).paused());
  }
}

GUEST_CODE(map_by_port, 32, R"(
1:
  mov $0x520, %edx
  in %dx, %al
  mov 0x100000, %eax
  mov $0x500, %edx
  out %eax, %dx
  jmp 1b
)")

TEST_F(KvmGuest, VcpuChangesTheMemoryMapFromItsOwnExit) {
  GuestVm guest;
  Mapping hole = Must(guest.memory_space.Map(0x100000, Region::Io(guest.mmio, 0x1000), 1, false));
  bool enabled = false;
  guest.mmio->on_read = [](const IoAccess&) -> uint64_t { return 0x0101; };
  guest.ports->on_read = [&](const IoAccess&) -> uint64_t {
    enabled = !enabled;
    hole.SetEnabled(enabled);
    return 0;
  };
  guest.Store(0x100000, uint32_t{0x0202});
  guest.BootProtected(GUEST_BYTES(map_by_port));
  ASSERT_TRUE(guest.ports->WaitFor(6));
  ASSERT_TRUE(guest.Pause());
  const std::vector<IoAccess> accesses = guest.ports->accesses();
  EXPECT_EQ(accesses[1], (IoAccess{true, 0, 4, 0x0101}));
  EXPECT_EQ(accesses[3], (IoAccess{true, 0, 4, 0x0202}));
  EXPECT_EQ(accesses[5], (IoAccess{true, 0, 4, 0x0101}));
}

}  // namespace
}  // namespace nandu

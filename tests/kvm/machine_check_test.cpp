// What comes from outside and cannot be masked by interrupt flags: machine checks of broken memory, NMIs.
#include <csignal>
#include <cstdlib>
#include <string_view>
#include <sys/mman.h>

#include "base/lost_memory.h"
#include "guest_vm.h"
#include "unit/support/forged_poison.h"

namespace nandu {
namespace {

constexpr uint64_t kHandler = 0x18000;
constexpr uint64_t kSeen = 0x7000;      // what the handler found: four words
constexpr uint64_t kBroken = 0x200000;  // the page
constexpr unsigned kMachineCheck = 18;
constexpr unsigned kNmi = 2;

// Takes machine checks (CR4.MCE) and reads a page over and over.
GUEST_CODE(read_for_ever, 64, R"(
  lidt 0x5f0
  mov %cr4, %rax
  or $0x40, %eax
  mov %rax, %cr4
  mov 0x200000, %eax
  mov $0x500, %edx
  mov $1, %al
  out %al, %dx
1:
  mov 0x200000, %eax
  jmp 1b
)")

// Bank 9's status, address and misc, and IA32_MCG_STATUS.
GUEST_CODE(tell_bank, 64, R"(
  mov $0x7000, %edi
  mov $0x425, %ecx
1:
  rdmsr
  mov %eax, (%rdi)
  mov %edx, 4(%rdi)
  add $8, %edi
  inc %ecx
  cmp $0x428, %ecx
  jb 1b
  mov $0x17a, %ecx
  rdmsr
  mov %eax, (%rdi)
  mov %edx, 4(%rdi)
  mov $0x501, %edx
  mov $0xaa, %al
  out %al, %dx
2:
  hlt
  jmp 2b
)")

// Lets NMIs through at LINT1 when the port says so, and waits.
GUEST_CODE(wait_for_nmi, 64, R"(
  lidt 0x5f0
  mov $0xfee00000, %edi
  movl $0x1ff, 0xf0(%rdi)
  mov $0x500, %edx
  in %dx, %al
  movl $0x400, 0x360(%rdi)
  in %dx, %al
1:
  hlt
  jmp 1b
)")
GUEST_CODE(tell_nmi, 64, R"(
  mov $0x501, %edx
  mov $0xaa, %al
  out %al, %dx
  iretq
)")

const IoAccess kTold = {true, 1, 1, 0xaa};

class MachineCheckGuest : public KvmGuest {
 protected:
  void SetUp() override {
    KvmGuest::SetUp();
    if (IsSkipped()) {
      return;
    }
    guest = std::make_unique<GuestVm>();
    if (!guest->vcpus->at(0).takes_machine_checks()) {
      GTEST_SKIP() << "this host's KVM has no machine checks with software recovery";
    }
    Must(LostMemory::Install(-1));
    guest->Store(kBroken, uint32_t{1});  // the page is there
    guest->Write(kHandler, GUEST_BYTES(tell_bank));
    guest->SetVector(kMachineCheck, kHandler);
    guest->BootLong(GUEST_BYTES(read_for_ever));
    ASSERT_TRUE(guest->ports->WaitFor(1));
  }
  const std::byte* broken() const { return guest->ram->host() + kBroken; }
  uint64_t Seen(unsigned word) const { return guest->Load<uint64_t>(kSeen + 8 * word); }
  // As if it came while the vCPU was in KVM_RUN.
  void Forge(int code) {
    guest->vcpus->at(0).RunOn([this, code] {
      LostMemory::EnterGuest();
      ForgePoison(::gettid(), code, broken());
      const std::optional<PoisonedMemory> met = LostMemory::LeaveGuest();
      ASSERT_TRUE(met.has_value());
      EXPECT_TRUE(guest->vcpus->ReportPoison(0, *met));
    });
  }
  std::unique_ptr<GuestVm> guest;
};

TEST_F(MachineCheckGuest, HearsOfAPageItUsed) {
  Forge(BUS_MCEERR_AR);
  ASSERT_TRUE(guest->ports->WaitFor(2));
  EXPECT_EQ(guest->ports->accesses().back(), kTold);
  EXPECT_EQ(Seen(0), 0xbd80000000000134U);
  EXPECT_EQ(Seen(1), kBroken);
  EXPECT_EQ(Seen(2), 0x8cU);
  EXPECT_EQ(Seen(3), 6U);
}

TEST_F(MachineCheckGuest, HearsOfAPageThatWasFound) {
  Forge(BUS_MCEERR_AO);
  ASSERT_TRUE(guest->ports->WaitFor(2));
  EXPECT_EQ(Seen(0), 0xbd000000000000c0U);
  EXPECT_EQ(Seen(3), 5U);
}

TEST_F(MachineCheckGuest, SecondCheckInTheFirstShutsItDown) {
  Forge(BUS_MCEERR_AR);
  ASSERT_TRUE(guest->ports->WaitFor(2));
  Forge(BUS_MCEERR_AR);
  EXPECT_TRUE(guest->triple_fault.Wait());
}

TEST_F(MachineCheckGuest, MemoryThatIsNotItsOwnIsNotTold) {
  const int elsewhere = 0;
  EXPECT_FALSE(guest->vcpus->ReportPoison(0, {&elsewhere, PoisonedMemory::Kind::kUsed}));
}

// The whole way, with a page that the kernel takes for broken: only in a machine that goes with the test.
TEST_F(MachineCheckGuest, HearsOfAPageThatTheHostsKernelCallsBroken) {
  const char* const lab = std::getenv("LAB");
  if (lab == nullptr || std::string_view(lab) != "nested") {
    GTEST_SKIP() << "it takes a page of memory from the machine until that is restarted: for nested machines";
  }
  if (::madvise(guest->ram->host() + kBroken, 4096, MADV_HWPOISON) != 0) {
    GTEST_SKIP() << "MADV_HWPOISON: " << ErrnoText(errno);
  }
  ASSERT_TRUE(guest->ports->WaitFor(2));
  EXPECT_EQ(Seen(0), 0xbd80000000000134U);
  EXPECT_EQ(Seen(1) & ~uint64_t{0xfff}, kBroken);
  ASSERT_TRUE(guest->Pause());
  EXPECT_TRUE(LostMemory::Renew(broken()));
  EXPECT_EQ(guest->Load<uint32_t>(kBroken), 0U) << "a page that works";
}

TEST_F(KvmGuest, NmiFromOutsideArrivesWhereLint1LetsItThrough) {
  GuestVm guest;
  guest.Write(kHandler, GUEST_BYTES(tell_nmi));
  guest.SetVector(kNmi, kHandler);
  unsigned reads = 0;
  guest.ports->on_read = [&](const IoAccess& /*access*/) {
    // In an exit of the guest's, with LINT1 as after a reset and then open: the NMI follows the exit.
    guest.vcpus->InjectNmi();
    return ++reads;
  };
  guest.BootLong(GUEST_BYTES(wait_for_nmi));
  ASSERT_TRUE(guest.ports->WaitFor(3));
  ASSERT_TRUE(guest.Pause());
  EXPECT_EQ(guest.ports->accesses().size(), 3U) << "the first one was masked";
  EXPECT_EQ(guest.ports->accesses().back(), kTold);
}

}  // namespace
}  // namespace nandu

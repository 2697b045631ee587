// Pausing in the middle of an exit: what the guest began is finished or saved, never lost and never done by
// halves.
#include "guest_vm.h"

namespace nandu {
namespace {

using Accesses = std::vector<IoAccess>;

// Writes eight bytes across the end of a page of registers, then tells that it went on.
GUEST_CODE(crossing_write, 64, R"(
  mov $0x10000ffc, %rdi
  mov $0x8877665544332211, %rax
  mov %rax, (%rdi)
  mov $0x500, %edx
  mov $0x99, %al
  out %al, %dx
  hlt
)")

const Accesses kBothHalves = {{true, 0xffc, 4, 0x44332211}, {true, 0x1000, 4, 0x88776655}};

TEST_F(KvmGuest, PageCrossingWritePausedBetweenItsHalvesArrivesWhole) {
  GuestVm guest;
  Signal paused;
  guest.mmio->on_write = [&](const IoAccess& access) {
    if (access.offset == 0xffc) {
      guest.vcpus->PauseAll([&] { paused.Set(); });
    }
    return ExitDone::Done();
  };
  guest.BootLong(GUEST_BYTES(crossing_write));
  ASSERT_TRUE(paused.Wait());
  EXPECT_EQ(guest.mmio->accesses(), kBothHalves);
  EXPECT_TRUE(guest.ports->accesses().empty());

  GuestVm other;
  other.Restore(guest.Save());
  other.Resume();
  ASSERT_TRUE(other.ports->WaitFor(1));
  EXPECT_TRUE(other.mmio->accesses().empty());
  EXPECT_EQ(other.ports->accesses(), (Accesses{{true, 0, 1, 0x99}}));
}

TEST_F(KvmGuest, PageCrossingWriteParkedAndSavedIsDoneAgainWholeAndInOrder) {
  GuestVm guest;
  const auto token = std::make_shared<ParkedExit>();
  guest.mmio->on_write = [&](const IoAccess&) { return ExitDone::Park(token); };
  guest.BootLong(GUEST_BYTES(crossing_write));
  ASSERT_TRUE(guest.mmio->WaitFor(1));
  ASSERT_TRUE(guest.Pause());
  EXPECT_EQ(guest.mmio->accesses().size(), 1U);  // the second half keeps its place behind the first

  GuestVm other;
  other.Restore(guest.Save());
  other.Resume();
  ASSERT_TRUE(other.ports->WaitFor(1));
  EXPECT_EQ(other.mmio->accesses(), kBothHalves);
}

GUEST_CODE(parked_port, 64, R"(
  mov $0x510, %edx
  mov $0x42, %al
  out %al, %dx
  mov $0x500, %edx
  mov $0x43, %al
  out %al, %dx
  hlt
)")

TEST_F(KvmGuest, ParkedWriteHoldsTheVcpuThroughKicksAndTasksUntilItIsSignalled) {
  GuestVm guest;
  const auto token = std::make_shared<ParkedExit>();
  guest.ports->on_write = [&](const IoAccess& access) {
    return access.offset == 0x10 ? ExitDone::Park(token) : ExitDone::Done();
  };
  guest.BootLong(GUEST_BYTES(parked_port));
  ASSERT_TRUE(guest.ports->WaitFor(1));
  guest.vcpus->at(0).Kick();
  Signal task_ran;
  guest.vcpus->at(0).RunOn([&] { task_ran.Set(); });
  ASSERT_TRUE(task_ran.Wait());
  EXPECT_EQ(guest.ports->accesses().size(), 1U);
  token->Signal();
  ASSERT_TRUE(guest.ports->WaitFor(2));
  EXPECT_EQ(guest.ports->accesses().back(), (IoAccess{true, 0, 1, 0x43}));
  EXPECT_EQ(guest.vcpus->at(0).counters().parked.value(), 1U);
}

TEST_F(KvmGuest, ParkedWriteIsDoneAgainAfterPauseAndResume) {
  GuestVm guest;
  const auto token = std::make_shared<ParkedExit>();
  guest.ports->on_write = [&](const IoAccess& access) {
    return access.offset == 0x10 ? ExitDone::Park(token) : ExitDone::Done();
  };
  guest.BootLong(GUEST_BYTES(parked_port));
  ASSERT_TRUE(guest.ports->WaitFor(1));
  ASSERT_TRUE(guest.Pause());
  token->Signal();
  guest.Resume();
  ASSERT_TRUE(guest.ports->WaitFor(3));
  EXPECT_EQ(guest.ports->accesses(),
            (Accesses{{true, 0x10, 1, 0x42}, {true, 0x10, 1, 0x42}, {true, 0, 1, 0x43}}));
  EXPECT_EQ(guest.vcpus->at(0).counters().parked_again.value(), 1U);
}

TEST_F(KvmGuest, ParkedWriteIsSavedAndDoneAgainInAnotherVm) {
  GuestVm guest;
  const auto never = std::make_shared<ParkedExit>();
  guest.ports->on_write = [&](const IoAccess&) { return ExitDone::Park(never); };
  guest.BootLong(GUEST_BYTES(parked_port));
  ASSERT_TRUE(guest.ports->WaitFor(1));
  ASSERT_TRUE(guest.Pause());
  const GuestVm::Snapshot snapshot = guest.Save();
  EXPECT_EQ(snapshot.vcpus[0].parked_writes,
            (std::vector<ParkedWrite>{{ExitSpace::kPorts, GuestVm::kPorts + 0x10, 1, 0x42}}));

  GuestVm other;
  other.Restore(snapshot);
  other.Resume();
  ASSERT_TRUE(other.ports->WaitFor(2));
  EXPECT_EQ(other.ports->accesses(), (Accesses{{true, 0x10, 1, 0x42}, {true, 0, 1, 0x43}}));
}

TEST_F(KvmGuest, ResetForgetsParkedWrites) {
  GuestVm guest;
  const auto never = std::make_shared<ParkedExit>();
  bool park = true;
  guest.ports->on_write = [&](const IoAccess&) { return park ? ExitDone::Park(never) : ExitDone::Done(); };
  guest.BootLong(GUEST_BYTES(parked_port));
  ASSERT_TRUE(guest.ports->WaitFor(1));
  ASSERT_TRUE(guest.Pause());
  park = false;
  guest.BootLong(GUEST_BYTES(parked_port));
  ASSERT_TRUE(guest.ports->WaitFor(3));
  EXPECT_EQ(guest.ports->accesses(),
            (Accesses{{true, 0x10, 1, 0x42}, {true, 0x10, 1, 0x42}, {true, 0, 1, 0x43}}));
}

GUEST_CODE(parked_string, 64, R"(
  cld
  mov $0x510, %edx
  mov $0x20000, %esi
  mov $4, %ecx
  rep outsb
  mov $0x500, %edx
  out %al, %dx
  hlt
)")

TEST_F(KvmGuest, StringWriteParkedInItsMiddleLosesNoElement) {
  GuestVm guest;
  const auto token = std::make_shared<ParkedExit>();
  guest.ports->on_write = [&](const IoAccess& access) {
    return access.value == 2 ? ExitDone::Park(token) : ExitDone::Done();
  };
  guest.Store(0x20000, uint32_t{0x04030201});
  guest.BootLong(GUEST_BYTES(parked_string));
  ASSERT_TRUE(guest.ports->WaitFor(2));
  ASSERT_TRUE(guest.Pause());

  GuestVm other;
  other.Restore(guest.Save());
  other.Resume();
  ASSERT_TRUE(other.ports->WaitFor(4));
  EXPECT_EQ(other.ports->accesses(),
            (Accesses{{true, 0x10, 1, 2}, {true, 0x10, 1, 3}, {true, 0x10, 1, 4}, {true, 0, 1, 0}}));
}

TEST_F(KvmGuest, ParkedVcpuEndsWithItsVm) {
  const auto never = std::make_shared<ParkedExit>();
  {
    GuestVm guest;
    guest.ports->on_write = [&](const IoAccess&) { return ExitDone::Park(never); };
    guest.BootLong(GUEST_BYTES(parked_port));
    ASSERT_TRUE(guest.ports->WaitFor(1));
  }
  never->Signal();  // nobody is left to be woken
  EXPECT_TRUE(never->signalled());
}

}  // namespace
}  // namespace nandu

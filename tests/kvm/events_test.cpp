// Interrupts and doorbells that never leave the kernel: irqfd, MSI routes, lines, ioeventfd; and what happens
// when KVM has none left.
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "guest_vm.h"
#include "unit/support/few_files.h"

namespace nandu {
namespace {

using Accesses = std::vector<IoAccess>;

constexpr uint64_t kHandler = 0x18000;

// Enables the local APIC, opens interrupts and waits for ever.
GUEST_CODE(wait_for_interrupts, 64, R"(
  lidt 0x5f0
  mov $0xfee00000, %edi
  movl $0x1ff, 0xf0(%rdi)
  mov $0x500, %edx
  mov $1, %al
  out %al, %dx
  sti
1:
  hlt
  jmp 1b
)")

// Tells the port what it is about and ends the interrupt.
GUEST_CODE(tell_and_end, 64, R"(
  mov $0x501, %edx
  mov $0xaa, %al
  out %al, %dx
  mov $0xfee000b0, %edi
  movl $0, (%rdi)
  iretq
)")

const IoAccess kReady = {true, 0, 1, 1};
const IoAccess kInterrupted = {true, 1, 1, 0xaa};
constexpr MsiMessage kVector40 = {0xfee00000, 0x40};
constexpr MsiMessage kVector41 = {0xfee00000, 0x41};

void BootWaiting(GuestVm& guest) {
  guest.Write(kHandler, GUEST_BYTES(tell_and_end));
  guest.SetVector(0x40, kHandler);
  guest.BootLong(GUEST_BYTES(wait_for_interrupts));
}

UniqueFd NewEventFd() { return UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

uint64_t Take(const UniqueFd& fd) {
  pollfd poll_fd{fd.get(), POLLIN, 0};
  uint64_t count = 0;
  if (poll(&poll_fd, 1, 30'000) == 1 && read(fd.get(), &count, sizeof(count)) != sizeof(count)) {
    return 0;
  }
  return count;
}

TEST_F(KvmGuest, MsiVectorInterruptsTheGuestThroughItsIrqFd) {
  GuestVm guest;
  const std::unique_ptr<MsiVector> vector = Must(guest.msi->Allocate());
  vector->SetMessage(kVector40);
  BootWaiting(guest);
  ASSERT_TRUE(guest.ports->WaitFor(1));
  vector->Notify();
  ASSERT_TRUE(guest.ports->WaitFor(2));
  const uint64_t one = 1;
  ASSERT_EQ(write(vector->fd(), &one, sizeof(one)), 8);  // as vhost does
  ASSERT_TRUE(guest.ports->WaitFor(3));
  EXPECT_EQ(guest.ports->accesses(), (Accesses{kReady, kInterrupted, kInterrupted}));
  EXPECT_EQ(guest.msi->counters().signalled.value(), 0U);
}

TEST_F(KvmGuest, ChangedMessageIsTheOneDelivered) {
  GuestVm guest;
  const std::unique_ptr<MsiVector> vector = Must(guest.msi->Allocate());
  vector->SetMessage(kVector41);  // no handler: would be a triple fault
  vector->SetMessage(kVector40);
  BootWaiting(guest);
  ASSERT_TRUE(guest.ports->WaitFor(1));
  vector->Notify();
  ASSERT_TRUE(guest.ports->WaitFor(2));
}

TEST_F(KvmGuest, SameMessageAgainCostsNoNewRoutingTable) {
  GuestVm guest;
  const std::unique_ptr<MsiVector> vector = Must(guest.msi->Allocate());
  vector->SetMessage(kVector40);
  const uint64_t before = guest.router->table_updates().value();
  vector->SetMessage(kVector40);
  EXPECT_EQ(guest.router->table_updates().value(), before);
}

TEST_F(KvmGuest, NotificationBeforeAMessageIsCountedAndDropped) {
  GuestVm guest;
  const std::unique_ptr<MsiVector> vector = Must(guest.msi->Allocate());
  vector->Notify();
  EXPECT_EQ(guest.msi->counters().unset.value(), 1U);
}

TEST_F(KvmGuest, MessagesAreSignalledWhereRoutesRanOut) {
  GuestVm guest;
  std::vector<std::unique_ptr<MsiVector>> vectors;
  while (vectors.empty() || vectors.back()->fd() >= 0) {
    vectors.push_back(Must(guest.msi->Allocate()));
  }
  vectors.back()->SetMessage(kVector40);
  BootWaiting(guest);
  ASSERT_TRUE(guest.ports->WaitFor(1));
  vectors.back()->Notify();
  ASSERT_TRUE(guest.ports->WaitFor(2));
  EXPECT_EQ(guest.msi->counters().signalled.value(), 1U);
  EXPECT_EQ(guest.msi->counters().without_irqfd.value(), 1U);
}

TEST_F(KvmGuest, MessagesAreSignalledWhereNoFileCanBeOpened) {
  GuestVm guest;
  std::unique_ptr<MsiVector> vector;
  {
    const FewFiles few;
    vector = Must(guest.msi->Allocate());
  }
  EXPECT_EQ(vector->fd(), -1);
  vector->SetMessage(kVector40);
  BootWaiting(guest);
  ASSERT_TRUE(guest.ports->WaitFor(1));
  vector->Notify();
  ASSERT_TRUE(guest.ports->WaitFor(2));
  EXPECT_EQ(guest.msi->counters().signalled.value(), 1U);
  EXPECT_EQ(guest.msi->counters().without_irqfd.value(), 1U);
}

// As above, with the IOAPIC's pin 20 sent to vector 0x40, level-triggered (82093AA, 3.2.4).
GUEST_CODE(wait_for_line, 64, R"(
  lidt 0x5f0
  mov $0xfee00000, %edi
  movl $0x1ff, 0xf0(%rdi)
  mov $0xfec00000, %edi
  movl $0x39, (%rdi)
  movl $0, 0x10(%rdi)
  movl $0x38, (%rdi)
  movl $0x8040, 0x10(%rdi)
  mov $0x500, %edx
  mov $1, %al
  out %al, %dx
  sti
1:
  hlt
  jmp 1b
)")

TEST_F(KvmGuest, SharedLevelLineInterruptsUntilItsLastSourceIsLow) {
  GuestVm guest;
  KvmIrqLine pin(*guest.vm, 20);
  SharedIrqLine shared(pin);
  const std::unique_ptr<IrqLine> first = shared.AddSource();
  const std::unique_ptr<IrqLine> second = shared.AddSource();
  first->Set(true);
  second->Set(true);
  unsigned interrupts = 0;
  guest.ports->on_write = [&](const IoAccess& access) {
    if (access.offset == 1) {
      (++interrupts == 1 ? first : second)->Set(false);
    }
    return ExitDone::Done();
  };
  guest.Write(kHandler, GUEST_BYTES(tell_and_end));
  guest.SetVector(0x40, kHandler);
  guest.BootLong(GUEST_BYTES(wait_for_line));
  ASSERT_TRUE(guest.ports->WaitFor(3));
  ASSERT_TRUE(guest.Pause());
  // Some kernels deliver once more what was pending; what counts is that the pin is low now and was high
  // after the first source's end.
  EXPECT_EQ(Must(GetIrqchip(*guest.vm)).ioapic.irr & 1U << 20, 0U);
  EXPECT_LE(guest.ports->accesses().size(), 4U);
}

GUEST_CODE(ring_doorbells, 32, R"(
  mov $0x530, %edx
  mov $7, %eax
  out %ax, %dx
  movw $0x1234, 0x10002000
  movl $5, 0x10002010
  movl $6, 0x10002010
  mov $0x500, %edx
  out %al, %dx
  hlt
)")

TEST_F(KvmGuest, DoorbellsSignalTheirEventFdsAndOnlyTheOthersLeaveTheGuest) {
  GuestVm guest;
  const UniqueFd port_bell = NewEventFd();
  const UniqueFd any_bell = NewEventFd();
  const UniqueFd five_bell = NewEventFd();
  guest.ports_mapping.SetEvents({{0x30, 2, 7, port_bell.get()}});
  guest.mmio_mapping.SetEvents({{0x2000, 0, std::nullopt, any_bell.get()}, {0x2010, 4, 5, five_bell.get()}});
  guest.BootProtected(GUEST_BYTES(ring_doorbells));
  ASSERT_TRUE(guest.ports->WaitFor(1));
  EXPECT_EQ(Take(port_bell), 1U);
  EXPECT_EQ(Take(any_bell), 1U);
  EXPECT_EQ(Take(five_bell), 1U);
  EXPECT_EQ(guest.mmio->accesses(), (Accesses{{true, 0x2010, 4, 6}}));
  EXPECT_EQ(guest.ports->accesses().size(), 1U);
  EXPECT_EQ(guest.memory_events->active(), 2U);
}

TEST_F(KvmGuest, DoorbellsKvmRefusesReachTheHandler) {
  GuestVm guest;
  const UniqueFd no_event_fd(open("/dev/null", O_RDWR | O_CLOEXEC));
  guest.ports_mapping.SetEvents({{0x30, 2, 7, no_event_fd.get()}});
  guest.BootProtected(GUEST_BYTES(ring_doorbells));
  ASSERT_TRUE(guest.ports->WaitFor(2));
  EXPECT_EQ(guest.ports->accesses().front(), (IoAccess{true, 0x30, 2, 7}));
  EXPECT_EQ(guest.port_events->exit_driven().value(), 1U);
}

TEST_F(KvmGuest, DoorbellsThatWereTakenAwayLeaveTheGuest) {
  GuestVm guest;
  const UniqueFd bell = NewEventFd();
  guest.ports_mapping.SetEvents({{0x30, 2, std::nullopt, bell.get()}});
  guest.ports_mapping.SetEvents({});
  guest.BootProtected(GUEST_BYTES(ring_doorbells));
  ASSERT_TRUE(guest.ports->WaitFor(2));
  EXPECT_EQ(guest.ports->accesses().front(), (IoAccess{true, 0x30, 2, 7}));
}

TEST_F(KvmGuest, ControllersKeepTheirStateAcrossSaveAndLoad) {
  GuestVm guest;
  guest.BootLong(GUEST_BYTES(wait_for_line));
  ASSERT_TRUE(guest.ports->WaitFor(1));
  ASSERT_TRUE(guest.Pause());
  const IrqchipState saved = Must(GetIrqchip(*guest.vm));
  EXPECT_EQ(saved.ioapic.redirection[20] & 0x1ffff, 0x8040U);

  GuestVm other;
  Must(SetIrqchip(*other.vm, saved));
  EXPECT_EQ(Must(GetIrqchip(*other.vm)).ioapic.redirection, saved.ioapic.redirection);
  Must(SetIrqchip(*other.vm, ResetIrqchip(true)));
  EXPECT_EQ(Must(GetIrqchip(*other.vm)).ioapic.redirection[20], uint64_t{1} << 16);
}

TEST_F(KvmGuest, ResetControllersAreLikeThoseOfANewVm) {
  GuestVm guest;
  const IrqchipState made = Must(GetIrqchip(*guest.vm));
  Must(SetIrqchip(*guest.vm, ResetIrqchip(true)));
  const IrqchipState reset = Must(GetIrqchip(*guest.vm));
  EXPECT_EQ(reset.ioapic.redirection, made.ioapic.redirection);
  EXPECT_EQ(reset.ioapic.base_address, made.ioapic.base_address);
  EXPECT_EQ(reset.pic[0].elcr_mask, made.pic[0].elcr_mask);
  EXPECT_EQ(reset.pic[1].elcr_mask, made.pic[1].elcr_mask);
  EXPECT_EQ(reset.pit->channels[2].gate, made.pit->channels[2].gate);
  EXPECT_EQ(reset.pit->channels[0].mode, made.pit->channels[0].mode);
}

GUEST_CODE(write_three_pages, 32, R"(
  movl $1, 0x200000
  movl $1, 0x203000
  movl $1, 0x2ff000
  mov $0x500, %edx
  out %al, %dx
  hlt
)")

TEST_F(KvmGuest, DirtyLogNamesThePagesTheGuestWrote) {
  GuestVm guest;
  Must(guest.slots->StartDirtyLog(nullptr));
  const KvmSlot slot = guest.slots->slots().front();
  const std::vector<uint64_t> all(slot.size / 4096 / 64, ~uint64_t{0});
  Must(guest.slots->ReadDirtyLog([](const KvmSlot&, std::span<const uint64_t>) {}));
  if (guest.slots->manual_protect()) {
    Must(guest.slots->ClearDirtyLog(slot, 0, slot.size / 4096, all));
  }
  guest.BootProtected(GUEST_BYTES(write_three_pages));
  ASSERT_TRUE(guest.ports->WaitFor(1));
  std::vector<uint64_t> dirty;
  Must(guest.slots->ReadDirtyLog(
      [&](const KvmSlot&, std::span<const uint64_t> bitmap) { dirty.assign(bitmap.begin(), bitmap.end()); }));
  EXPECT_EQ(dirty[0x200 / 64], uint64_t{1} | uint64_t{1} << 3);
  EXPECT_EQ(dirty[0x2c0 / 64], uint64_t{1} << 63);
  Must(guest.slots->StopDirtyLog());
  EXPECT_FALSE(guest.slots->slots().front().logged);
}

TEST_F(KvmGuest, SlotThatGoesAwayHandsItsLastDirtyPagesOver) {
  GuestVm guest;
  size_t handed = 0;
  Must(guest.slots->StartDirtyLog([&](const KvmSlot&, std::span<const uint64_t>) { ++handed; }));
  guest.ram_mapping.SetEnabled(false);
  EXPECT_EQ(handed, 1U);
  EXPECT_EQ(guest.slots->slots().size(), 1U);  // the ROM
}

TEST_F(KvmGuest, RamThatIsNoWholePageIsServedByExits) {
  GuestVm guest;
  const std::shared_ptr<RamBlock> small = Must(RamBlock::CreateAnonymous("small", 0x1000, {}));
  const Mapping odd = Must(guest.memory_space.Map(0x10002000, Region::Ram(small, 0, 0x800), 1));
  guest.BootProtected(GUEST_BYTES(ring_doorbells));
  ASSERT_TRUE(guest.ports->WaitFor(2));
  uint16_t stored = 0;
  std::memcpy(&stored, small->host(), sizeof(stored));
  EXPECT_EQ(stored, 0x1234);
  EXPECT_GT(guest.slots->exit_driven().value(), 0U);
}

}  // namespace
}  // namespace nandu

// What becomes of the interval timer's ticks that a guest was not there for. The kernel's 8254 at 100 Hz, the
// guest with its interrupts off for about half a second, told by the timer's own channel 2, and then two
// windows of 55 ms with interrupts on.
#include "guest_vm.h"

namespace nandu {
namespace {

constexpr uint64_t kHandler = 0x1000;
constexpr uint64_t kCode = 0x3000;
constexpr uint64_t kTimerVector = 8;

// An interrupt would come back from the reset vector's segment to the same selector, 1 MiB below.
GUEST_CODE(leave_the_rom, 16, R"(
  ljmp $0, $0x3000
)")

GUEST_CODE(miss_ticks, 16, R"(
  xor %ax, %ax
  mov %ax, %ds
  mov %ax, %ss
  mov $0x9000, %sp
  mov $0x11, %al      # the 8259: vectors from 8 on, IRQ 0 alone
  out %al, $0x20
  mov $8, %al
  out %al, $0x21
  mov $4, %al
  out %al, $0x21
  mov $1, %al
  out %al, $0x21
  mov $0xfe, %al
  out %al, $0x21
  mov $0x34, %al      # channel 0, mode 2: 11932 is 10 ms
  out %al, $0x43
  mov $0x9c, %al
  out %al, $0x40
  mov $0x2e, %al
  out %al, $0x40
  mov $9, %cx
1:
  call 3f
  loop 1b
  movw $0, 0x2000
  sti
  call 3f
  call 3f
  cli
  mov 0x2000, %ax
  mov $0x500, %dx
  out %ax, %dx
2:
  hlt
  jmp 2b
3:                    # channel 2, mode 0: 55 ms, until its output rises
  in $0x61, %al
  and $0xfd, %al
  or $1, %al
  out %al, $0x61
  mov $0xb0, %al
  out %al, $0x43
  mov $0xff, %al
  out %al, $0x42
  out %al, $0x42
4:
  in $0x61, %al
  test $0x20, %al
  jz 4b
  ret
)")

GUEST_CODE(count_tick, 16, R"(
  push %ax
  incw 0x2000
  mov $0x20, %al
  out %al, $0x20
  pop %ax
  iret
)")

unsigned TicksAfterwards(GuestVm& guest) {
  guest.Write(kHandler, GUEST_BYTES(count_tick));
  guest.Store(kTimerVector * 4, static_cast<uint32_t>(kHandler));
  guest.Write(kCode, GUEST_BYTES(miss_ticks));
  guest.BootRom(GUEST_BYTES(leave_the_rom));
  if (!guest.ports->WaitFor(1)) {
    ADD_FAILURE() << "the guest did not count its ticks";
    return 0;
  }
  return static_cast<unsigned>(guest.ports->accesses().at(0).value);
}

// 11 ticks are due in the windows; 49 were missed.
constexpr unsigned kDue = 11;
constexpr unsigned kSome = 10;

TEST_F(KvmGuest, LostTicksAreMadeUpFor) {
  GuestVm guest;
  EXPECT_GT(TicksAfterwards(guest), kDue + kSome);
}

TEST_F(KvmGuest, LostTicksAreDiscardedOnDemand) {
  GuestVm guest;
  Must(guest.vm->DiscardLostTicks());
  const unsigned ticks = TicksAfterwards(guest);
  EXPECT_GT(ticks, 0U);
  EXPECT_LE(ticks, kDue + 2);
}

}  // namespace
}  // namespace nandu

// Guests of a few instructions in each mode of the CPU: every kind of port and memory access must arrive as
// the guest made it.
#include "guest_vm.h"

namespace nandu {
namespace {

using Accesses = std::vector<IoAccess>;

GUEST_CODE(real_ports, 16, R"(
  mov $0x500, %dx
  mov $0x11, %al
  out %al, %dx
  mov $0x2222, %ax
  out %ax, %dx
  mov $0x33333333, %eax
  out %eax, %dx
  in %dx, %al
  mov $0x501, %dx
  out %al, %dx
  hlt
)")

TEST_F(KvmGuest, RealModeStartsAtTheResetVectorAndUsesPortsOfEverySize) {
  GuestVm guest;
  guest.ports->on_read = [](const IoAccess&) -> uint64_t { return 0x44; };
  guest.BootRom(GUEST_BYTES(real_ports));
  ASSERT_TRUE(guest.ports->WaitFor(5));
  EXPECT_EQ(guest.ports->accesses(), (Accesses{{true, 0, 1, 0x11},
                                               {true, 0, 2, 0x2222},
                                               {true, 0, 4, 0x33333333},
                                               {false, 0, 1, 0x44},
                                               {true, 1, 1, 0x44}}));
}

GUEST_CODE(string_ports, 32, R"(
  cld
  mov $0x510, %edx
  mov $0x20000, %edi
  mov $5, %ecx
  rep insb
  mov $0x20000, %esi
  mov $5, %ecx
  rep outsb
  mov $0x20000, %esi
  mov $2, %ecx
  rep outsw
  mov $0x20000, %esi
  outsl
  hlt
)")

TEST_F(KvmGuest, StringPortAccessesArriveElementByElement) {
  GuestVm guest;
  uint64_t next = 0xa0;
  guest.ports->on_read = [&](const IoAccess&) { return next++; };
  guest.BootProtected(GUEST_BYTES(string_ports));
  ASSERT_TRUE(guest.ports->WaitFor(13));
  EXPECT_EQ(guest.ports->accesses(), (Accesses{{false, 0x10, 1, 0xa0},
                                               {false, 0x10, 1, 0xa1},
                                               {false, 0x10, 1, 0xa2},
                                               {false, 0x10, 1, 0xa3},
                                               {false, 0x10, 1, 0xa4},
                                               {true, 0x10, 1, 0xa0},
                                               {true, 0x10, 1, 0xa1},
                                               {true, 0x10, 1, 0xa2},
                                               {true, 0x10, 1, 0xa3},
                                               {true, 0x10, 1, 0xa4},
                                               {true, 0x10, 2, 0xa1a0},
                                               {true, 0x10, 2, 0xa3a2},
                                               {true, 0x10, 4, 0xa3a2a1a0}}));
}

GUEST_CODE(protected_mmio, 32, R"(
  mov $0x10000000, %edi
  mov %ebx, 0x10(%edi)
  movb $0x55, 1(%edi)
  movw $0x6666, 2(%edi)
  mov 8(%edi), %eax
  mov %eax, 12(%edi)
  movzbl 4(%edi), %eax
  mov $0x500, %edx
  out %al, %dx
  hlt
)")

TEST_F(KvmGuest, ProtectedModeBeginsWithPvhRegistersAndReachesDevicesInMemory) {
  GuestVm guest;
  guest.mmio->on_read = [](const IoAccess& access) -> uint64_t {
    return access.size == 4 ? 0x89abcdef : 0x77;
  };
  guest.BootProtected(GUEST_BYTES(protected_mmio));
  ASSERT_TRUE(guest.ports->WaitFor(1));
  EXPECT_EQ(guest.mmio->accesses(), (Accesses{{true, 0x10, 4, 0x1234},
                                              {true, 1, 1, 0x55},
                                              {true, 2, 2, 0x6666},
                                              {false, 8, 4, 0x89abcdef},
                                              {true, 12, 4, 0x89abcdef},
                                              {false, 4, 1, 0x77}}));
  EXPECT_EQ(guest.ports->accesses(), (Accesses{{true, 0, 1, 0x77}}));
}

GUEST_CODE(long_mmio, 64, R"(
  mov $0x10000000, %rdi
  mov %rsi, (%rdi)
  mov 8(%rdi), %rax
  mov %rax, 0x20000
  mov $0x500, %edx
  out %al, %dx
  hlt
)")

TEST_F(KvmGuest, LongModeBeginsWithLinuxRegistersAndMovesEightBytes) {
  GuestVm guest;
  guest.mmio->on_read = [](const IoAccess&) -> uint64_t { return 0x1122334455667788; };
  guest.BootLong(GUEST_BYTES(long_mmio));
  ASSERT_TRUE(guest.ports->WaitFor(1));
  EXPECT_EQ(guest.mmio->accesses(), (Accesses{{true, 0, 8, 0x5678}, {false, 8, 8, 0x1122334455667788}}));
  EXPECT_EQ(guest.Load<uint64_t>(0x20000), 0x1122334455667788U);
}

GUEST_CODE(nothing_there, 32, R"(
  mov 0x20000000, %eax
  movl $1, 0x20000000
  mov %eax, 0x20000
  movb $1, 0xffff0000
  mov $0x700, %edx
  in %dx, %eax
  mov %eax, 0x20004
  mov $0x500, %edx
  out %al, %dx
  hlt
)")

TEST_F(KvmGuest, ReadsOfNothingAreAllOnesAndWritesToRomAreDroppedAndCounted) {
  GuestVm guest;
  guest.BootProtected(GUEST_BYTES(nothing_there));
  ASSERT_TRUE(guest.ports->WaitFor(1));
  EXPECT_EQ(guest.Load<uint32_t>(0x20000), 0xffffffffU);
  EXPECT_EQ(guest.Load<uint32_t>(0x20004), 0xffffffffU);
  EXPECT_GT(guest.memory_space.unassigned().value(), 0U);
  EXPECT_EQ(guest.memory_space.rom_writes().value(), 1U);
  EXPECT_GT(guest.io_space.unassigned().value(), 0U);
}

GUEST_CODE(triple_fault, 32, R"(
  mov $0x500, %edx
  out %al, %dx
  ud2
)")

TEST_F(KvmGuest, TripleFaultIsReportedAndTheGuestRunsAgainAfterReset) {
  GuestVm guest;
  guest.BootProtected(GUEST_BYTES(triple_fault));
  ASSERT_TRUE(guest.triple_fault.Wait(1));
  ASSERT_TRUE(guest.Pause());
  guest.BootProtected(GUEST_BYTES(triple_fault));
  ASSERT_TRUE(guest.triple_fault.Wait(2));
  EXPECT_EQ(guest.ports->accesses().size(), 2U);
}

}  // namespace
}  // namespace nandu

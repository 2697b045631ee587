# A 64 KiB ROM for -bios: the guest of cpuid_view.py. Every vCPU, one after the other, tells on debugcon (port 0xe9) what CPUID and some model-specific
# registers answer, in records of six little-endian words; then the guest ends itself by isa-debug-exit with ENDED.
#
#   CPU        initial APIC ID (CPUID.1:EBX)     0 0 0 0        what follows is this vCPU's
#   leaf       index                             EAX EBX ECX EDX
#   REGISTER   number                            low high absent 0
#
# The other CPUs are started as the Intel SDM says (volume 3, 9.4.4: INIT, start-up). How many there are stands in the ROM at CPUS; the test writes it.
# Linked to where it runs: at 0x8000, where the first 4 KiB of it are copied to.
    .code16
    .text

    .set CPU, 0xfffffffe
    .set REGISTER, 0xffffffff
    .set CPUS, 0xff00             # offset in the ROM
    .set ENDED, 0x10              # exit status 33
    .set CODE, 0x8000
    .set BUFFER, 0x1000           # segment; one `outs` of many bytes is few exits
    .set LAPIC_ICR, 0xfee00300
    .set ALL_OTHERS, 0x000c4000
    .set INIT, 0x500
    .set STARTUP, 0x600 + CODE / 0x1000
    .set GENERAL_PROTECTION, 13 * 4

other_cpu:                        # a start-up vector names a page, and this is its first byte
    cli
    cld
    xor %ax, %ax
    mov %ax, %ds
    mov %ax, %ss
    mov $1, %eax
    cpuid
    shr $24, %ebx
    bt %bx, was_told
    jc 1f
    lock btsw $0, busy            # whoever comes second is started again, and does not wait: waiting CPUs slow others down
    jc 1f
    mov $0x7000, %sp
    push %bx
    call tell
    pop %bx
    bts %bx, was_told
    movw $0, busy
    lock incl told
1:  hlt
    jmp 1b

start:
    cli
    cld
    xor %ax, %ax
    mov %ax, %ss
    mov %ax, %es
    mov $0x7800, %sp              # the others, one at a time, have 0x7000
    xor %si, %si
    mov $CODE, %di
    mov $0x800, %cx
    rep movsw %cs:(%si), %es:(%di)
    mov %cs:CPUS, %ebp            # while CS is the ROM
    mov %ax, %ds
    ljmp $0, $in_ram

in_ram:
    movw $skip_instruction, GENERAL_PROTECTION
    movw $0, GENERAL_PROTECTION + 2
    call tell
    incl told
    cmp $1, %ebp
    je done

# Real mode with a flat DS, for the local APIC (SDM volume 3, 10.1.3, leaves the limit as protected mode set it).
    lgdt gdt_pointer
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    mov $8, %bx
    mov %bx, %ds
    and $0xfe, %al
    mov %eax, %cr0
    mov $LAPIC_ICR, %esi
1:  pause
    lock btsw $0, busy            # so that INIT hits nobody who tells
    jc 1b
    mov told, %ebx
    movl $(ALL_OTHERS + INIT), (%esi)
    call delay
    movw $0, busy
    movl $(ALL_OTHERS + STARTUP), (%esi)
    call delay
    movl $(ALL_OTHERS + STARTUP), (%esi)
2:  pause
    cmp %ebx, told
    je 2b
    cmp %ebp, told
    jne 1b
done:
    mov $ENDED, %al
    out %al, $0xf4
2:  hlt
    jmp 2b

delay:                            # each is an exit
    mov $20, %cx
1:  out %al, $0x80
    loop 1b
    ret

skip_instruction:                 # the only one that faults is RDMSR, two bytes
    push %bp
    mov %sp, %bp
    addw $2, 2(%bp)
    pop %bp
    xor %eax, %eax
    xor %edx, %edx
    movw $1, absent
    iret

# Everything of the vCPU that runs this; keeps EBP.
tell:
    push %ebp
    mov $BUFFER, %ax
    mov %ax, %es
    xor %di, %di
    mov $1, %eax
    cpuid
    shr $24, %ebx
    mov $CPU, %eax
    stosl
    mov %ebx, %eax
    stosl
    xor %eax, %eax
    stosl
    stosl
    stosl
    stosl
    mov $ranges, %si
1:  mov (%si), %ebp               # leaf
    cmp $-1, %ebp
    je 3f
2:  call tell_leaf
    inc %ebp
    cmp 4(%si), %ebp
    jne 2b
    add $8, %si
    jmp 1b
3:  mov $registers, %si
4:  mov (%si), %ecx
    cmp $-1, %ecx
    je 5f
    movw $0, absent
    rdmsr
    push %edx
    push %eax
    mov $REGISTER, %eax
    stosl
    mov %ecx, %eax
    stosl
    pop %eax
    stosl
    pop %eax
    stosl
    movzwl absent, %eax
    stosl
    xor %eax, %eax
    stosl
    add $4, %si
    jmp 4b
5:  mov %di, %cx
    xor %si, %si
    mov $0xe9, %dx
    push %ds
    mov $BUFFER, %ax
    mov %ax, %ds
    rep outsb
    pop %ds
    pop %ebp
    ret

tell_leaf:
    xor %ecx, %ecx
1:  push %ecx
    mov %ebp, %eax
    stosl
    mov %ecx, %eax
    stosl
    mov %ebp, %eax
    cpuid
    stosl
    mov %ebx, %eax
    stosl
    mov %ecx, %eax
    stosl
    mov %edx, %eax
    stosl
    pop %ecx
    inc %ecx
    mov $indexed, %bx
2:  mov (%bx), %eax
    add $4, %bx
    cmp $-1, %eax
    je 3f
    cmp %eax, %ebp
    jne 2b
    cmp $8, %cx
    jb 1b
    cmp $0xd, %ebp                # has an index per component of XSAVE
    jne 3f
    cmp $24, %cx
    jb 1b
3:  ret

    .balign 4
ranges:                           # first leaf, the one after the last
    .long 0, 0x25, 0x40000000, 0x40000011, 0x40000080, 0x40000083, 0x40000100, 0x40000111, 0x80000000, 0x80000023, 0xc0000000, 0xc0000005, -1
indexed:                          # leaves that ECX is a part of the question to
    .long 4, 7, 0xb, 0xd, 0xf, 0x10, 0x12, 0x14, 0x17, 0x18, 0x1b, 0x1d, 0x1e, 0x1f, 0x20, 0x8000001d, -1
registers:                        # what a CPU model says of feature registers, and what firmware asks for; SDM volume 4
    .long 0x3a, 0x8b, 0xce, 0xcf, 0xfe, 0x10a, 0x122, 0x174, 0x179, 0x1a0, 0x345
    .long 0x480, 0x481, 0x482, 0x483, 0x484, 0x485, 0x486, 0x487, 0x488, 0x489, 0x48a, 0x48b, 0x48c, 0x48d, 0x48e, 0x48f, 0x490, 0x491
    .long 0x40000002, 0x4b564d00, 0xc0000080, 0xc0010015, 0xc0010117, 0xc001011f, -1
gdt:
    .quad 0
    .quad 0x00cf93000000ffff      # data, flat
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long gdt
busy:
    .word 0
absent:
    .word 0
told:
    .long 0
was_told:                         # a bit per APIC ID
    .fill 32, 1, 0

    .org CPUS
    .long 1
    .org 0xfff0                   # the reset vector
    jmp start
    .org 0x10000

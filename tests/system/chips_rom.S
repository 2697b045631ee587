# A 64 KiB ROM for -bios: guests of a few instructions for board_chips.py and chips.kvm.py. Which one runs stands in the ROM at MODE; the
# test writes it.
#
#   BACKDOOR  asks VMware's backdoor the questions below and writes a line of hexadecimal registers for each to debugcon (port 0xe9): the
#             command, then EAX EBX ECX EDX ESI EDI as they come back. Ends itself by isa-debug-exit with ENDED.
#   PANIC     writes ARGUMENT to pvpanic's port and waits.
#   WATCHDOG  opens LINT1 for NMIs, arms the TCO watchdog for twice 1.2 s and waits. An NMI ends it by isa-debug-exit with GOT_NMI.
    .code16
    .text

    .set MODE, 0xff00             # offsets in the ROM
    .set ARGUMENT, 0xff01
    .set PANIC, 1
    .set WATCHDOG, 2
    .set ENDED, 0x10              # exit statuses 33 and 35
    .set GOT_NMI, 0x11
    .set LPC, 0x8000f800          # PCI device 31, function 0
    .set PMBASE, 0x600
    .set TCO, PMBASE + 0x60
    .set RCBA, 0xfed1c000
    .set APIC, 0xfee00000
    .set MAGIC, 0x564d5868

start:
    cli
    cld
    xor %ax, %ax
    mov %ax, %ss
    mov $0x7000, %sp
    mov %cs, %ax
    mov %ax, %ds
    mov MODE, %al
    cmp $PANIC, %al
    je panic
    cmp $WATCHDOG, %al
    je watchdog

backdoor:
    mov $questions, %si
1:  mov (%si), %ecx
    cmp $-1, %ecx
    je 2f
    mov 4(%si), %ebx
    mov 8(%si), %eax
    add $12, %si
    push %si
    mov %cx, %bp
    mov $0x11111111, %edx
    mov $0x5658, %dx
    mov $0x22222222, %esi
    mov $0x33333333, %edi
    in %dx, %eax
    push %edi
    push %esi
    push %edx
    push %ecx
    push %ebx
    push %eax
    movzwl %bp, %eax
    call word
    mov $6, %cx
3:  mov $' ', %al
    out %al, $0xe9
    pop %eax
    call word
    loop 3b
    mov $'\n', %al
    out %al, $0xe9
    pop %si
    jmp 1b
2:  mov $ENDED, %al
    mov $0xf4, %dx
    out %al, %dx
wait:
    hlt
    jmp wait

word:                             # EAX in eight digits
    push %cx
    mov $8, %cx
1:  rol $4, %eax
    push %eax
    and $15, %al
    add $'0', %al
    cmp $'9', %al
    jbe 2f
    add $'a' - '0' - 10, %al
2:  out %al, $0xe9
    pop %eax
    loop 1b
    pop %cx
    ret

panic:
    mov ARGUMENT, %al
    mov $0x505, %dx
    out %al, %dx
    jmp wait

    .macro config register, value # of the LPC bridge
    mov $LPC + \register, %eax
    mov $0xcf8, %dx
    out %eax, %dx
    mov $0xcfc, %dx
    mov $\value, %eax
    out %eax, %dx
    .endm
    .macro tco register, value
    mov $TCO + \register, %dx
    mov $\value, %ax
    out %ax, %dx
    .endm

watchdog:
    xor %ax, %ax                  # vector 2
    mov %ax, %es
    movw $nmi, %es:8
    mov %cs, %ax
    mov %ax, %es:10
    lgdt %cs:flat_table           # ES reaches 4 GiB
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    mov $8, %bx
    mov %bx, %es
    and $0xfe, %al
    mov %eax, %cr0
    mov $APIC + 0xf0, %edi
    movl $0x1ff, %es:(%edi)
    mov $APIC + 0x360, %edi
    movl $0x400, %es:(%edi)
    config 0x40, PMBASE + 1
    config 0x44, 0x80
    config 0xf0, RCBA + 1
    mov $RCBA + 0x3410, %edi
    movl $0, %es:(%edi)    # GCS: the timer may reset
    tco 0x12, 2                   # two ticks of 0.6 s
    tco 0x08, 0                   # it runs
    jmp wait

nmi:
    mov $GOT_NMI, %al
    mov $0xf4, %dx
    out %al, %dx
    jmp wait

    .balign 8
flat:
    .quad 0, 0x00cf93000000ffff
flat_table:
    .word 15
    .long 0xf0000 + flat

    .macro ask command, argument=0, magic=MAGIC
    .long \command, \argument, \magic
    .endm
    .balign 4
questions:
    ask 10                        # version
    ask 0x10a                     # only the low byte counts
    ask 19                        # UUID
    ask 20                        # memory size
    ask 45                        # frequencies
    ask 68                        # vCPU
    ask 1
    ask 23
    ask 46
    ask 0x2b
    ask 255
    ask 10, 0, 0                  # without the magic number
    ask 40                        # the mouse: status
    ask 39, 1                     # data
    ask 41, 0x45414552            # command: read ID
    ask 40
    ask 39, 1
    ask 40
    ask 41, 0x45414552
    ask 41, 0x45414552
    ask 40
    ask 39, 2
    ask 41, 0x53424152            # absolute
    ask 41, 0x4c455252            # relative
    ask 40
    ask 39, 0
    ask 40
    ask 41, 0x45414552
    ask 41, 0xf5                  # disable
    ask 40
    ask 41, 0x77
    .long -1

    .org MODE
    .byte 0, 0
    .org 0xfff0
    ljmp $0xf000, $start
    .org 0x10000

# A 64 KiB ROM for -bios: guests of a few instructions for board_chips.py. Which one runs stands in the ROM at MODE; the test writes it.
#
#   BACKDOOR  asks VMware's backdoor the questions below and writes a line of hexadecimal registers for each to debugcon (port 0xe9): the
#             command, then EAX EBX ECX EDX ESI EDI as they come back. Ends itself by isa-debug-exit with ENDED.
#   PANIC     writes ARGUMENT to pvpanic's port and waits.
    .code16
    .text

    .set MODE, 0xff00             # offsets in the ROM
    .set ARGUMENT, 0xff01
    .set PANIC, 1
    .set ENDED, 0x10              # exit status 33
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

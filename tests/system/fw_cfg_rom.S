# A 64 KiB ROM for -bios: the guest of fw_cfg_view.py. It tells on debugcon (port 0xe9) what fw_cfg's items and files are, as records:
#
#   selector   length      and as many bytes (both little-endian words of four bytes)
#
# (a large file's first MOST bytes only), first the items whose selectors and lengths the test writes at ITEMS (pairs of two bytes, ended by 0xffff), then the directory, then every file in it;
# then the guest ends itself by isa-debug-exit with ENDED. Everything is read by DMA. Specification: QEMU, docs/specs/fw_cfg.rst.
    .code16
    .text

    .set ITEMS, 0xf000            # offset in the ROM
    .set ENDED, 0x10              # exit status 33
    .set DIRECTORY, 0x19
    .set LIST, 0x2000             # where the directory is kept
    .set LIST_BYTES, 4 + 32 * 64
    .set ACCESS, 0x1000           # the descriptor: control, length, address, big-endian
    .set BUFFER, 0x10000
    .set CHUNK, 0x8000
    .set MOST, 0x3000

start:
    cli
    cld
    xor %ax, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov $0x7000, %sp
    mov $ITEMS, %si
1:  mov %cs:(%si), %ax            # a selector and its length
    cmp $0xffff, %ax
    je 2f
    movzwl %cs:2(%si), %ecx
    add $4, %si
    call tell
    jmp 1b
2:  mov $LIST, %edx               # the directory, to keep and to tell
    mov $LIST_BYTES, %ecx
    mov $DIRECTORY << 16 | 0xa, %eax
    call access
    mov $DIRECTORY, %ax
    mov $LIST_BYTES, %ecx
    call tell
    mov LIST, %ebx
    bswap %ebx
    mov $LIST + 4, %si
3:  test %ebx, %ebx
    jz 4f
    mov (%si), %ecx
    bswap %ecx
    cmp $MOST, %ecx               # of a large file its beginning: each byte told may be an exit
    jbe 5f
    mov $MOST, %ecx
5:
    mov 4(%si), %ax
    xchg %al, %ah
    call tell
    add $64, %si
    dec %ebx
    jmp 3b
4:  mov $0xf4, %dx
    mov $ENDED, %al
    out %al, %dx
    hlt

# Reads %ecx bytes to %edx; %eax is the control word.
access:
    bswap %eax
    mov %eax, ACCESS
    mov %ecx, %eax
    bswap %eax
    mov %eax, ACCESS + 4
    movl $0, ACCESS + 8
    mov %edx, %eax
    bswap %eax
    mov %eax, ACCESS + 12
    mov $0x518, %dx
    mov $ACCESS, %eax
    bswap %eax
    out %eax, %dx
    ret

# Tells the record of item %ax with %ecx bytes.
tell:
    push %si
    push %ebx
    movzwl %ax, %eax
    mov %eax, ACCESS + 16
    mov %ecx, ACCESS + 20
    mov %ecx, %ebx                # bytes left
    mov $ACCESS + 16, %si
    mov $8, %cx
    mov $0xe9, %dx
    rep outsb
    shl $16, %eax
    or $0xa, %eax                 # select and read; then read only
1:  test %ebx, %ebx
    jz 3f
    mov $CHUNK, %ecx
    cmp %ecx, %ebx
    jae 2f
    mov %ebx, %ecx
2:  sub %ecx, %ebx
    mov $BUFFER, %edx
    call access
    mov $BUFFER / 16, %ax
    mov %ax, %ds
    xor %si, %si
    mov $0xe9, %dx
    rep outsb
    xor %ax, %ax
    mov %ax, %ds
    mov $0x2, %eax
    jmp 1b
3:  pop %ebx
    pop %si
    ret

    .org ITEMS
    .word 0xffff
    .org 0xfff0
    ljmp $0xf000, $start
    .org 0x10000

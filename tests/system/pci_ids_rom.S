# A 64 KiB ROM for variants.kvm.py: writes a line to debugcon (port 0xe9) for each PCI function that there is: its place, then the registers
# 0x00 (ids), 0x08 (class, revision), 0x2c (subsystem), 0x34 (capabilities), 0x10 and 0x14 (BARs, after ones were written to them). Behind a
# bridge it goes on with the bus that the bridge then has. Ends itself by isa-debug-exit (port 0xf4).
    .code16
    .text
    .set NEXT_BUS, 0x1000         # of RAM
    .set ENDED, 0x10              # exit status 33

start:
    cli
    cld
    xor %ax, %ax
    mov %ax, %ss
    mov %ax, %ds
    mov $0x7000, %sp
    movb $1, NEXT_BUS
    mov $0x80000000, %edi         # of the configuration address: bus 0, function 0
function:
    xor %bl, %bl
    call read
    cmp $-1, %eax
    je next
    mov %edi, %eax
    call word
    mov $registers, %si
1:  mov %cs:(%si), %bl
    inc %si
    test %bl, %bl
    js 2f
    cmp $0x10, %bl
    je sized
    cmp $0x14, %bl
    je sized
    call read
    call word
    jmp 1b
sized:
    mov $-1, %eax
    call write
    call read
    call word
    jmp 1b
2:  mov $'\n', %al
    out %al, $0xe9
    mov $0x0c, %bl
    call read
    shr $16, %eax
    and $0x7f, %al
    cmp $1, %al
    jne next
    movzbl NEXT_BUS, %eax         # a bridge: from this bus to its own
    incb NEXT_BUS
    mov %eax, %ecx
    shl $8, %eax
    shl $16, %ecx
    or %ecx, %eax
    mov $0x18, %bl
    call write
next:
    add $0x100, %edi
    mov %edi, %eax
    shr $16, %eax
    cmp NEXT_BUS, %al
    jb function
    mov $ENDED, %al
    out %al, $0xf4
3:  hlt
    jmp 3b

# EAX = register BL of the function at EDI
read:
    call address
    in %dx, %eax
    ret
write:
    push %eax
    call address
    pop %eax
    out %eax, %dx
    ret
address:
    mov %edi, %eax
    mov %bl, %al
    mov $0xcf8, %dx
    out %eax, %dx
    mov $0xcfc, %dx
    ret
# EAX as eight digits and a space
word:
    mov $8, %cx
1:  rol $4, %eax
    push %eax
    and $15, %al
    cmp $10, %al
    jb 2f
    add $'a' - '0' - 10, %al
2:  add $'0', %al
    out %al, $0xe9
    pop %eax
    loop 1b
    mov $' ', %al
    out %al, $0xe9
    ret

registers: .byte 0x00, 0x08, 0x2c, 0x34, 0x10, 0x14, -1
    .org 0xfff0
    jmp start
    .org 0x10000

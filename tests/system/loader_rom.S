# A 64 KiB ROM for loader.kvm.py: writes BYTES of memory from PLACE on to debugcon (port 0xe9), spoils them, resets the machine once by port
# 0xcf9, and then ends it by isa-debug-exit (port 0xf4). A vCPU that begins at ELSEWHERE writes an 'E' and ends it at once.
    .code16
    .text
    .set PLACE, 0x1000
    .set BYTES, 48
    .set MARK, 0x5000             # what survives a reset
    .set ELSEWHERE, 0x100

start:
    xor %ax, %ax
    mov %ax, %ds
    mov $PLACE, %si
    mov $BYTES, %cx
    cld
1:  lodsb
    out %al, $0xe9
    movb $0x5a, -1(%si)
    loop 1b
    cmpb $'!', MARK
    je end
    movb $'!', MARK
    mov $6, %al
    mov $0xcf9, %dx
    out %al, %dx
2:  hlt
    jmp 2b

    .org ELSEWHERE
    mov $'E', %al
    out %al, $0xe9
end:
    mov $0x10, %al                # exit status 33
    out %al, $0xf4
3:  hlt
    jmp 3b

    .org 0xfff0
    jmp start
    .org 0x10000

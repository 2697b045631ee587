# A 64 KiB ROM for -bios: a guest that programs VGA itself, for vga.kvm.py. It takes bytes from COM1; each names a picture below, which it
# draws; then it sends the byte back.
    .code16
    .text

    .set PICTURES, (pictures_end - pictures) / 2

start:
    cli
    cld
    xor %ax, %ax
    mov %ax, %ss
    mov $0x7000, %sp
    mov %cs, %ax
    mov %ax, %ds
next:
    mov $0x3fd, %dx
1:  in %dx, %al
    test $1, %al
    jz 1b
    mov $0x3f8, %dx
    in %dx, %al
    cmp $PICTURES, %al
    jae next
    push %ax
    movzbw %al, %bx
    add %bx, %bx
    call *pictures(%bx)
    pop %ax
    mov $0x3f8, %dx
    out %al, %dx
    jmp next

pictures:
    .word text_9, text_8, planar, linear, mode_x, cga, low_planar, vbe_8, vbe_16, vbe_24, vbe_32, vbe_virtual
pictures_end:

# ---- registers ----
.macro outw port, value
    mov $\port, %dx
    mov $\value, %ax
    out %ax, %dx
.endm
.macro vbe index, value
    outw 0x1ce, \index
    outw 0x1cf, \value
.endm
.macro segment at
    mov $\at, %ax
    mov %ax, %es
    xor %di, %di
.endm

# The mode at SI: misc, 5 of the sequencer, 25 of the CRT controller, 9 of the graphics, 21 of the attribute controller.
set_mode:
    vbe 4, 0
    mov $0x3c2, %dx
    lodsb
    out %al, %dx
    mov $0x3c4, %dx
    mov $5, %cx
    call indexed
    outw 0x3d4, 0x0011
    mov $25, %cx
    call indexed
    mov $0x3ce, %dx
    mov $9, %cx
    call indexed
    mov $0x3da, %dx
    in %dx, %al
    mov $0x3c0, %dx
    xor %bx, %bx
1:  mov %bl, %al
    out %al, %dx
    lodsb
    out %al, %dx
    inc %bl
    cmp $21, %bl
    jne 1b
    mov $0x20, %al
    out %al, %dx
    # Colour N: N, 3N, 7N.
    mov $0x3c8, %dx
    xor %al, %al
    out %al, %dx
    inc %dx
    xor %bx, %bx
2:  mov $1, %cl
    call part
    mov $3, %cl
    call part
    mov $7, %cl
    call part
    inc %bl
    jnz 2b
    ret
part:
    mov %bl, %al
    mul %cl
    and $0x3f, %al
    out %al, %dx
    ret
indexed:
    xor %bx, %bx
1:  lodsb
    mov %al, %ah
    mov %bl, %al
    out %ax, %dx
    inc %bl
    loop 1b
    ret

# ---- text: shapes of our own, every character and attribute without blinking ----
text_8:
    mov $mode_text_8, %bp
    jmp text
text_9:
    mov $mode_text_9, %bp
text:
    mov %bp, %si
    call set_mode
    outw 0x3c4, 0x0402
    outw 0x3c4, 0x0704
    outw 0x3ce, 0x0005
    outw 0x3ce, 0x0406
    segment 0xa000
    xor %bx, %bx
1:  mov %bl, %al
    mov $5, %ah
    mul %ah
    mov $32, %cx
2:  stosb
    add $29, %al
    loop 2b
    inc %bl
    jnz 1b
    # A second set of shapes in map 1.
    mov $0x4000, %di
    mov $0x2000, %cx
3:  mov %di, %ax
    xor %ah, %al
    stosb
    loop 3b
    mov %bp, %si
    call set_mode
    segment 0xb800
    xor %bx, %bx
    mov $2000, %cx
4:  mov %bx, %ax
    shr $3, %ax
    xor %bl, %al
    and $0x7f, %al
    mov %al, %ah
    mov %bl, %al
    stosw
    inc %bx
    loop 4b
    ret

# ---- 16 colours: planes one by one, then every write mode ----
low_planar:
    mov $mode_low_planar, %si
    jmp planes
planar:
    mov $mode_planar, %si
planes:
    call set_mode
    mov $0x0102, %bp              # map mask
1:  mov $0x3c4, %dx
    mov %bp, %ax
    out %ax, %dx
    segment 0xa000
    mov $38400, %cx
    mov %bp, %bx
2:  mov %di, %ax
    shr $6, %ax
    add %di, %ax
    xor %bh, %al
    stosb
    loop 2b
    shl $1, %bp
    and $0x1f00, %bp
    or $2, %bp
    cmp $0x1002, %bp
    jne 1b
    outw 0x3c4, 0x0f02
    # Mode 0: set/reset of two planes, turned by 3, and'ed with the latches under a bit mask.
    outw 0x3ce, 0x0500
    outw 0x3ce, 0x0301
    outw 0x3ce, 0x0b03
    outw 0x3ce, 0x7e08
    mov $800, %di
    call touch
    # Mode 2: colours, or'ed.
    outw 0x3ce, 0x0205
    outw 0x3ce, 0x1003
    mov $4000, %di
    call touch
    # Mode 3: xor'ed.
    outw 0x3ce, 0x0305
    outw 0x3ce, 0x1803
    mov $8000, %di
    call touch
    # Mode 1 copies.
    outw 0x3ce, 0x0105
    xor %si, %si
    mov $12000, %di
    push %ds
    push %es
    pop %ds
    mov $2000, %cx
    rep movsb
    pop %ds
    # Read mode 1 is drawn as well: what it finds.
    outw 0x3ce, 0x0805
    outw 0x3ce, 0x0003
    outw 0x3ce, 0x0001
    outw 0x3ce, 0xff08
    outw 0x3ce, 0x0602
    outw 0x3ce, 0x0707
    xor %si, %si
    mov $15000, %di
    push %ds
    push %es
    pop %ds
    mov $800, %cx
    rep movsb
    pop %ds
    ret
touch:
    mov $1600, %cx
1:  mov %es:(%di), %al
    mov %di, %ax
    stosb
    loop 1b
    ret

# ---- 256 colours ----
linear:
    mov $mode_linear, %si
    call set_mode
    segment 0xa000
    mov $64000, %cx
1:  mov %di, %ax
    add %ah, %al
    stosb
    loop 1b
    ret
mode_x:
    mov $mode_x_registers, %si
    call set_mode
    mov $0x0102, %bp
1:  mov $0x3c4, %dx
    mov %bp, %ax
    out %ax, %dx
    segment 0xa000
    mov $16000, %cx
    mov %bp, %bx
2:  mov %di, %ax
    shr $2, %ax
    add %bh, %al
    stosb
    loop 2b
    shl $1, %bp
    and $0x1f00, %bp
    or $2, %bp
    cmp $0x1002, %bp
    jne 1b
    ret
cga:
    mov $mode_cga, %si
    call set_mode
    segment 0xb800
    mov $0x4000, %cx
1:  mov %di, %ax
    xor %ah, %al
    stosb
    loop 1b
    ret

# ---- linear framebuffers through banks ----
vbe_8:
    mov $8, %bp
    jmp vbe_any
vbe_16:
    mov $16, %bp
    jmp vbe_any
vbe_24:
    mov $24, %bp
    jmp vbe_any
vbe_virtual:
    call vbe_32
    vbe 6, 800
    vbe 8, 40
    vbe 9, 7
    ret
vbe_32:
    mov $32, %bp
vbe_any:
    mov $mode_linear, %si
    call set_mode
    vbe 1, 640
    vbe 2, 480
    outw 0x1ce, 3
    mov $0x1cf, %dx
    mov %bp, %ax
    out %ax, %dx
    vbe 4, 0x41
    xor %bx, %bx
1:  outw 0x1ce, 5
    mov $0x1cf, %dx
    mov %bx, %ax
    out %ax, %dx
    segment 0xa000
    mov $0x8000, %cx
2:  mov %di, %ax
    xor %bl, %ah
    ror $3, %ax
    stosw
    loop 2b
    inc %bx
    cmp $20, %bx
    jne 1b
    ret

# ---- modes ----
.macro crtc_text
    .byte 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0, 0x4f, 0x20, 0x0e, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff
.endm
.macro colours
    .byte 0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f
.endm
mode_text_9:
    .byte 0x67, 3, 0, 3, 0, 2
    crtc_text
    .byte 0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff
    colours
    .byte 4, 0, 0x0f, 8, 0
mode_text_8:                      # two sets of shapes; the screen starts a row later
    .byte 0x67, 3, 1, 3, 4, 2
    .byte 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0, 0x4f, 0x20, 0x0e, 0, 80, 0, 0, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff
    .byte 0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff
    colours
    .byte 0, 0, 0x0f, 0, 0
mode_planar:
    .byte 0xe3, 3, 1, 0x0f, 0, 6
    .byte 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0, 0x40, 0, 0, 0, 0, 0, 0, 0xea, 0x8c, 0xdf, 0x28, 0, 0xe7, 4, 0xe3, 0xff
    .byte 0, 0, 0, 0, 0, 0, 5, 0x0f, 0xff
    colours
    .byte 1, 0, 0x0f, 0, 0
mode_low_planar:                  # 320x200; three planes shown, colours from the upper half of the DAC
    .byte 0x63, 3, 9, 0x0f, 0, 6
    .byte 0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x14, 0, 0x96, 0xb9, 0xe3, 0xff
    .byte 0, 0, 0, 0, 0, 0, 5, 0x0f, 0xff
    colours
    .byte 0x81, 0, 0x07, 0, 9
mode_linear:
    .byte 0x63, 3, 1, 0x0f, 0, 0x0e
    .byte 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0, 0x41, 0, 0, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff
    .byte 0, 0, 0, 0, 0, 0x40, 5, 0x0f, 0xff
    colours
    .byte 0x41, 0, 0x0f, 0, 0
mode_x_registers:                 # the planes unchained, the screen split at line 199
    .byte 0x63, 3, 1, 0x0f, 0, 6
    .byte 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x0f, 0, 0x01, 0, 0, 1, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x28, 0, 0x96, 0xb9, 0xe3, 199
    .byte 0, 0, 0, 0, 0, 0x40, 5, 0x0f, 0xff
    colours
    .byte 0x41, 0, 0x0f, 0, 0
mode_cga:
    .byte 0x63, 3, 9, 3, 0, 2
    .byte 0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0, 0xc1, 0, 0, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x14, 0, 0x96, 0xb9, 0xa2, 0xff
    .byte 0, 0, 0, 0, 0, 0x30, 0x0f, 0, 0xff
    .byte 0, 0x13, 0x15, 0x17, 2, 4, 6, 7, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17
    .byte 1, 0, 3, 0, 0

    .org 0xfff0
    .byte 0xea                    # jmp f000:0000
    .word 0, 0xf000
    .org 0x10000

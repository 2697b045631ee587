# A 64 KiB ROM for -bios: the guest of reset_hang.lab.py. In real mode it drives the first transitional virtio-blk on the root bus by its
# legacy I/O BAR (virtio 1.2, 4.1.4.8 and 2.7.2), posts a read, and resets the device as old drivers and SeaBIOS do: status := 0, read once.
#
# It tells what it does on debugcon, a letter each, and waits for a byte on COM1 where the host has a say:
#   D  the driver is set up                                  (waits)
#   I  a read is posted and notified: in flight              (waits)
#   W  about to write status 0
#   R  the write and one read of status, which was 0, are over; S: it was something else
#   L  the disk's data lies in the buffer; N: none of it
#   F  buffer and used ring hold a pattern and are watched   (until a byte comes)
#   C  they still hold it: the end, by isa-debug-exit with KEEP_CLEAN. T: something wrote there: TOUCHED
#   X  no disk, or one without a queue: NO_DISK
    .code16
    .text

    .set RING, 0x1000             # segments: the queue is at 64 KiB, the buffer at 128 KiB
    .set BUFFER, 0x2000
    .set HEADER, 0x3000
    .set BAR0, 0xc000             # where the I/O ports are put
    .set READ_BYTES, 32768
    .set SECTOR, 8
    .set PATTERN, 0xa5a5
    .set KEEP_CLEAN, 0x10         # exit statuses 33, 35, 37, 39
    .set TOUCHED, 0x11
    .set NOT_RESET, 0x12
    .set NO_DISK, 0x13

    .set GUEST_FEATURES, BAR0 + 4
    .set QUEUE_PAGE, BAR0 + 8
    .set QUEUE_SIZE, BAR0 + 12
    .set QUEUE_SELECT, BAR0 + 14
    .set QUEUE_NOTIFY, BAR0 + 16
    .set STATUS, BAR0 + 18

    .macro tell letter
    mov $\letter, %al
    out %al, $0xe9
    .endm

    .macro set_status value
    mov $STATUS, %dx
    mov $\value, %al
    out %al, %dx
    .endm

start:
    cli
    cld
    xor %ax, %ax
    mov %ax, %ss
    mov $0x7000, %sp

# The disk is the function whose configuration begins with 1af4:1001.
    mov $0x80000000, %ebx
1:  mov %ebx, %eax
    call select_config
    in %dx, %eax
    cmp $0x10011af4, %eax
    je found
    add $0x800, %ebx              # function 0 of the next device
    cmp $0x80010000, %ebx
    jb 1b
    jmp no_disk

found:
    lea 0x10(%ebx), %eax
    call select_config
    mov $BAR0, %eax
    out %eax, %dx
    lea 0x04(%ebx), %eax
    call select_config
    mov $5, %ax                   # I/O space, bus master
    out %ax, %dx

    set_status 0
    set_status 1
    set_status 3
    mov $GUEST_FEATURES, %dx
    xor %eax, %eax
    out %eax, %dx
    mov $QUEUE_SELECT, %dx
    out %ax, %dx
    mov $QUEUE_SIZE, %dx
    in %dx, %ax
    test %ax, %ax
    jz no_disk

# 2.7.2: descriptors, then what the driver offers (si), then on the next page what the device used (bp)
    mov %ax, %si
    shl $4, %si
    mov %ax, %bp
    shl $1, %bp
    lea 6 + 4095(%bp,%si), %bp
    and $0xf000, %bp
    mov $RING, %ax
    mov %ax, %es
    xor %di, %di
    xor %ax, %ax
    mov $0x8000, %cx
    rep stosw
    mov $QUEUE_PAGE, %dx
    mov $RING >> 8, %eax
    out %eax, %dx
    set_status 7
    tell 'D'
    call wait_for_host

# The request: read READ_BYTES from SECTOR on.
    mov $HEADER, %ax
    mov %ax, %ds
    movl $0, 0                    # VIRTIO_BLK_T_IN
    movl $0, 4
    movl $SECTOR, 8
    movl $0, 12
    movb $0xff, 16                # the status
    mov $BUFFER, %ax
    mov %ax, %es
    xor %di, %di
    xor %ax, %ax
    mov $READ_BYTES / 2, %cx
    rep stosw
    mov $RING, %ax
    mov %ax, %ds
    movl $HEADER << 4, 0
    movl $16, 8
    movl $0x00010001, 12          # NEXT, 1
    movl $BUFFER << 4, 16
    movl $READ_BYTES, 24
    movl $0x00020003, 28          # WRITE and NEXT, 2
    movl $(HEADER << 4) + 16, 32
    movl $1, 40
    movl $0x00000002, 44          # WRITE
    movl $0, 4(%si)               # ring[0]: descriptor 0
    movw $1, 2(%si)               # index
    mov $QUEUE_NOTIFY, %dx
    xor %ax, %ax
    out %ax, %dx
    tell 'I'
    call wait_for_host

    tell 'W'
    set_status 0
    in %dx, %al
    test %al, %al
    jnz not_reset
    tell 'R'

    mov $BUFFER, %ax
    mov %ax, %es
    xor %di, %di
    xor %ax, %ax
    mov $READ_BYTES / 2, %cx
    repe scasw
    mov $'N', %al
    je 1f
    mov $'L', %al
1:  out %al, $0xe9

    mov $PATTERN, %ax
    xor %di, %di
    mov $READ_BYTES / 2, %cx
    rep stosw
    mov $RING, %bx
    mov %bx, %es
    mov %bp, %di
    mov $2048, %cx
    rep stosw
    tell 'F'

watch:
    call look
    mov $0x3fd, %dx
    in %dx, %al
    test $1, %al
    jz watch
    call look
    tell 'C'
    mov $KEEP_CLEAN, %al
    jmp exit

look:
    mov $PATTERN, %ax
    mov $BUFFER, %bx
    mov %bx, %es
    xor %di, %di
    mov $READ_BYTES / 2, %cx
    repe scasw
    jne touched
    mov $RING, %bx
    mov %bx, %es
    mov %bp, %di
    mov $2048, %cx
    repe scasw
    jne touched
    ret

select_config:
    mov $0xcf8, %dx
    out %eax, %dx
    mov $0xcfc, %dx
    ret

wait_for_host:
    mov $0x3fd, %dx
1:  in %dx, %al
    test $1, %al
    jz 1b
    mov $0x3f8, %dx
    in %dx, %al
    ret

touched:
    tell 'T'
    mov $TOUCHED, %al
    jmp exit
not_reset:
    tell 'S'
    mov $NOT_RESET, %al
    jmp exit
no_disk:
    tell 'X'
    mov $NO_DISK, %al
exit:
    out %al, $0xf4
1:  hlt
    jmp 1b

    .org 0xfff0                   # the reset vector
    jmp start
    .org 0x10000

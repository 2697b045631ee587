# A multiboot kernel for multiboot.kvm.py: writes what it was given to debugcon (port 0xe9) and ends itself by isa-debug-exit (port 0xf4).
# Assembled with FORMAT = 0 it is for an ELF file, 1 for a flat file that its header describes (the "a.out kludge").
# Specification: Multiboot 0.6.96, sections 3.1 to 3.3.
#
#   regs   EAX EBX CR0 EFLAGS (VM and IF), CS DS ES FS GS SS
#   a20    1: address bit 20 is not masked
#   data   a word of its data, and the sum of what must be zero; both are changed afterwards, for a reset to set them right
#   flags, mem (lower, upper), boot (device), cmdline, loader
#   mod    per module: length, its first word, its place from the end of the kernel in pages, its string
#   map    per entry: size, base, length, type
# A command line that ends in '!' makes it reset the machine once, by port 0xcf9.
    .text
    .set MAGIC, 0x1badb002
    .set FLAGS, 3 + 0x10000 * FORMAT
    .set MARK, 0x2000000          # what survives a reset
    .set LOW_STACK, 0x7000
    .set ENDED, 0x10              # exit status 33

image:
    .fill 20                      # the header need not come first
    .align 4
header:
    .long MAGIC, FLAGS, -(MAGIC + FLAGS)
    .if FORMAT == 1
    .long header, image, image_end, bss_end, start
    .endif

    .globl start
start:
    mov $LOW_STACK, %esp
    pushf
    push %eax
    call 1f
1:  pop %ebp
    sub $1b, %ebp                 # where this is less where it was linked to
    pop %eax
    mov %eax, regs(%ebp)
    mov %ebx, regs+4(%ebp)
    mov %cr0, %eax
    mov %eax, regs+8(%ebp)
    pop %eax
    and $0x00020200, %eax         # VM and IF; the others are left open
    mov %eax, regs+12(%ebp)
    cld

    lea text_regs(%ebp), %esi
    call text
    lea regs(%ebp), %esi
    mov $4, %ecx
    call words
    xor %eax, %eax
    mov %cs, %ax
    call word
    mov %ds, %ax
    call word
    mov %es, %ax
    call word
    mov %fs, %ax
    call word
    mov %gs, %ax
    call word
    mov %ss, %ax
    call word

    lea text_a20(%ebp), %esi
    call text
    movl $0x11111111, 0x300000
    movl $0x22222222, 0x200000
    xor %eax, %eax
    cmpl $0x11111111, 0x300000
    sete %al
    call word

    lea text_data(%ebp), %esi
    call text
    mov data(%ebp), %eax
    call word
    incl data(%ebp)
    lea bss(%ebp), %esi
    mov $(bss_end - bss) / 4, %ecx
    xor %edx, %edx
2:  lodsl
    add %eax, %edx
    movl $1, -4(%esi)
    loop 2b
    mov %edx, %eax
    call word

    mov regs+4(%ebp), %ebx        # the information structure from here on
    lea text_flags(%ebp), %esi
    call text
    mov (%ebx), %eax
    call word
    lea text_mem(%ebp), %esi
    call text
    lea 4(%ebx), %esi
    mov $2, %ecx
    call words
    lea text_boot(%ebp), %esi
    call text
    mov 12(%ebx), %eax
    call word
    lea text_cmdline(%ebp), %esi
    call text
    mov 16(%ebx), %esi
    call text
    lea text_loader(%ebp), %esi
    call text
    mov 64(%ebx), %esi
    call text

    mov 20(%ebx), %ecx
    mov 24(%ebx), %edi
3:  jecxz 4f
    lea text_mod(%ebp), %esi
    call text
    mov 4(%edi), %eax
    sub (%edi), %eax
    call word
    mov (%edi), %eax
    mov (%eax), %eax
    call word
    mov (%edi), %eax
    lea bss_end(%ebp), %edx
    add $4095, %edx
    and $-4096, %edx
    sub %edx, %eax
    call word
    mov 8(%edi), %esi
    call text
    add $16, %edi
    dec %ecx
    jmp 3b

4:  mov 48(%ebx), %edi            # addresses need not be printed: what is there is
    mov 44(%ebx), %edx
    add %edi, %edx
5:  cmp %edx, %edi
    jae 6f
    lea text_map(%ebp), %esi
    call text
    mov %edi, %esi
    mov $6, %ecx
    call words
    add (%edi), %edi
    add $4, %edi
    jmp 5b

6:  mov $'\n', %al
    out %al, $0xe9
    mov 16(%ebx), %esi
7:  lodsb
    test %al, %al
    jnz 7b
    cmpb $'!', -2(%esi)
    jne 8f
    cmpl $MAGIC, MARK
    je 8f
    movl $MAGIC, MARK
    mov $6, %al
    mov $0xcf9, %dx
    out %al, %dx
    jmp halt
8:  mov $ENDED, %al
    out %al, $0xf4
halt:
    hlt
    jmp halt

# ECX words at ESI
words:
    push %ecx
1:  lodsl
    call word
    loop 1b
    pop %ecx
    ret
# EAX as eight digits and a space
word:
    push %eax
    push %ecx
    mov $8, %ecx
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
    pop %ecx
    pop %eax
    ret
# the zero-terminated text at ESI
text:
    push %eax
1:  lodsb
    test %al, %al
    jz 2f
    out %al, $0xe9
    jmp 1b
2:  pop %eax
    ret

text_regs: .asciz "regs "
text_a20: .asciz "\na20 "
text_data: .asciz "\ndata "
text_flags: .asciz "\nflags "
text_mem: .asciz "\nmem "
text_boot: .asciz "\nboot "
text_cmdline: .asciz "\ncmdline "
text_loader: .asciz "\nloader "
text_mod: .asciz "\nmod "
text_map: .asciz "\nmap "

    .align 4
    .globl data
data: .long 0x0badda7a
regs: .fill 16
image_end:
    .bss
    .align 4
bss:
    .fill 4096
bss_end:

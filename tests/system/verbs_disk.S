# A disk that boots: prints its text on COM1, echoes what is typed there, and powers off at the power button. Real mode, loaded by
# a BIOS at 0x7c00; the text (with a zero at its end) is put at 0x100 by verbs.kvm.py.
	.code16
	.globl start
start:
	xor	%ax, %ax
	mov	%ax, %ds
	mov	$0x7d00, %si
print:
	lodsb
	test	%al, %al
	jz	wait
	call	put
	jmp	print
wait:
	sti
	hlt				# the timer comes 18 times a second
	mov	$0x600, %dx		# PM1 status: the power button is bit 8
	in	%dx, %ax
	test	$0x100, %ax
	jnz	off
	mov	$0x3fd, %dx		# line status: bit 0, something was typed
	in	%dx, %al
	test	$1, %al
	jz	wait
	mov	$0x3f8, %dx
	in	%dx, %al
	call	put
	jmp	wait
off:
	mov	$0x604, %dx		# PM1 control: sleep, type 0 is S5
	mov	$0x2000, %ax
	out	%ax, %dx
	hlt
put:
	mov	%al, %ah
	mov	$0x3fd, %dx
1:
	in	%dx, %al
	test	$0x20, %al
	jz	1b
	mov	%ah, %al
	mov	$0x3f8, %dx
	out	%al, %dx
	ret

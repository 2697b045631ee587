"""A multiboot kernel that says what it was given (multiboot_kernel.S), and what it must say: the words of QEMU 7.2."""

import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ENDED = 33
BOARD = ["-M", "q35", "-nodefaults", "-display", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
# KVM's own pages, which a guest without KVM is not told of.
KVM_PAGES = "map 00000014 feffc000 00000000 00004000 00000000 00000002 \n"
# Where AMD's processors have HyperTransport; qemu64 is one of the host's maker.
AMD_HOLE = "map 00000014 00000000 000000fd 00000000 00000003 00000002 \n"


def build(directory, form):
    """The kernel as an "elf" or a "flat" file; its path. It is linked to 1 MiB, the flat one to 1.5 MiB."""
    parts, kernel = os.path.join(directory, f"{form}.o"), os.path.join(directory, f"kernel.{form}")
    flat = form == "flat"
    subprocess.run(["as", "--32", "--defsym", f"FORMAT={int(flat)}", "-o", parts, os.path.join(HERE, "multiboot_kernel.S")], check=True)
    link = ["ld", "-m", "elf_i386", "-n", "--no-warn-rwx-segments", "-e", "start", "-o", kernel, parts]
    subprocess.run([*link, *(["-Ttext=0x180000", "--oformat", "binary"] if flat else ["-Ttext=0x100000"])], check=True)
    return kernel


def modules(directory):
    """Two modules and the -initrd that names them."""
    for name, text in (("one", b"modAAAA1"), ("t,wo", b"modBBBB2222")):
        with open(os.path.join(directory, name), "wb") as file:
            file.write(text)
    return "one first arg,t,,wo  spaces "


MODULES_TEXT = "mod 00000008 41646f6d 00001000 one first arg\nmod 0000000b 42646f6d 00002000 t,wo  spaces \n"


def expected(command_line, mib, modules_text=""):
    """What the kernel says with so much memory (below 2 GiB)."""
    upper_kib = (mib - 1) * 1024 - 128
    return (
        "regs 2badb002 00009500 00000011 00000000 00000008 00000010 00000010 00000010 00000010 00000010 \n"
        "a20 00000001 \n"
        "data 0badda7a 00000000 \n"
        "flags 0000024f \n"
        f"mem 0000027f {upper_kib:08x} \n"
        "boot 8000ffff \n"
        f"cmdline {command_line}\n"
        "loader qemu\n"
        f"{modules_text}"
        "map 00000014 00000000 00000000 0009fc00 00000000 00000001 \n"
        "map 00000014 0009fc00 00000000 00000400 00000000 00000002 \n"
        "map 00000014 000f0000 00000000 00010000 00000000 00000002 \n"
        f"map 00000014 00100000 00000000 {upper_kib * 1024:08x} 00000000 00000001 \n"
        f"map 00000014 {(mib << 20) - 0x20000:08x} 00000000 00020000 00000000 00000002 \n"
        "map 00000014 b0000000 00000000 10000000 00000000 00000002 \n"
        "map 00000014 fed1c000 00000000 00004000 00000000 00000002 \n"
        f"{KVM_PAGES}"
        "map 00000014 fffc0000 00000000 00040000 00000000 00000002 \n"
        f"{AMD_HOLE}"
    )

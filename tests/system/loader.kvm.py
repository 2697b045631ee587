"""On any KVM that runs a guest of a few instructions: -device loader, as a ROM sees memory and QEMU with the same words loads it."""

import os
import subprocess

from nandu import run_cases

QEMU = "qemu-system-x86_64"
HERE = os.path.dirname(os.path.abspath(__file__))
BOARD = ["-M", "q35", "-accel", "kvm", "-nodefaults", "-display", "none", "-m", "64", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
ENDED = 33


def _link(source, output, *words):
    subprocess.run(["as", "--32", "-o", output + ".o", source], check=True)
    subprocess.run(["ld", "-m", "elf_i386", "-n", "--no-warn-rwx-segments", "-e", "0x1020", *words, "-o", output, output + ".o"], check=True)


def _prepare(nandu):
    """The ROM; beside it a raw file and an ELF file with eight bytes for 0x1020 and four zeroes behind."""
    rom = nandu.file("rom")
    _link(os.path.join(HERE, "loader_rom.S"), rom, "-Ttext=0", "--oformat", "binary")
    with open(nandu.file("raw"), "wb") as file:
        file.write(b"raw file")
    with open(nandu.file("elf.S"), "w", encoding="ascii") as file:
        file.write('.text\n.ascii "elf file"\n.bss\n.long 0\n')
    _link(nandu.file("elf.S"), nandu.file("elf"), "-Ttext=0x1020", "-Tbss=0x1028")
    return rom


def _says(nandu, program, rom, *loaders):
    log = nandu.file("log")
    words = [*BOARD, "-bios", rom, "-debugcon", f"file:{log}"]
    for loader in loaders:
        words += ["-device", f"loader,{loader}"]
    result = subprocess.run([program, *words], cwd=nandu.directory, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
    assert result.returncode == ENDED, (program, result.returncode, result.stderr)
    with open(log, "rb") as file:
        return file.read()


def memory_is_as_qemu_loads_it(nandu):
    rom = _prepare(nandu)
    loaders = ["addr=0x1000,data=0x64636261,data-len=4", "addr=0x1004,data=0x4142434445464748,data-len=8,data-be=on",
               "addr=0x100c,data=0x6a6b6c6d00000000,data-len=4,data-be=on", "file=raw,addr=0x1010", "addr=0x1010,data=0x7a,data-len=1",
               "file=elf", "addr=0x1018,data=0x39,data-len=1,cpu-num=0"]
    ours, theirs = _says(nandu, nandu.path, rom, *loaders), _says(nandu, QEMU, rom, *loaders)
    once = b"abcdABCDEFGHjklm" + b"raw file" + b"9" + bytes(7) + b"elf file" + bytes(4)
    assert ours[:len(once)] == once, ours
    assert ours == theirs, (ours, theirs)  # after the reset as well, where what nobody loads stays spoiled
    assert ours[48:48 + 24] == once[:24] and len(ours) == 96, ours


def an_elf_file_may_be_loaded_raw(nandu):
    rom = _prepare(nandu)
    loader = "file=elf,addr=0x1000,force-raw=on"
    ours = _says(nandu, nandu.path, rom, loader)
    assert ours[:4] == b"\x7fELF" and ours == _says(nandu, QEMU, rom, loader), ours


def a_vcpu_starts_where_it_is_told(nandu):
    rom = _prepare(nandu)
    for loader in ("addr=0x100,cpu-num=0", "file=raw,addr=0x100,cpu-num=0"):
        assert _says(nandu, nandu.path, rom, loader) == _says(nandu, QEMU, rom, loader) == b"E", loader


def wrong_loaders_are_a_sentence(nandu):
    rom = _prepare(nandu)
    before = set(os.listdir(nandu.directory))
    for words, needle in ((["file=absent"], "absent"), (["file=raw,addr=0x4000000"], "do not fit the guest's RAM"),
                          (["data=1,data-len=4,addr=0x3fffffe"], "do not fit the guest's RAM"), (["file=raw,cpu-num=1"], "cpu-num=1"),
                          (["file=raw,addr=0x2000", "file=raw,addr=0x2007"], "overlaps"), (["adr=1"], "addr")):
        devices = [word for loader in words for word in ("-device", f"loader,{loader}")]
        result = nandu.refused(*BOARD, "-bios", rom, "-pidfile", "pid", *devices)
        assert result.returncode == 1 and needle in result.stderr and len(result.stderr.splitlines()) == 1, (words, result.returncode, result.stderr)
    assert set(os.listdir(nandu.directory)) == before


if __name__ == "__main__":
    run_cases([memory_is_as_qemu_loads_it, an_elf_file_may_be_loaded_raw, a_vcpu_starts_where_it_is_told, wrong_loaders_are_a_sentence])

"""What a guest finds in fw_cfg: `view` runs the guest of fw_cfg_rom.S under a VMM and answers {selector: bytes} of items and {name: bytes} of files, their
first MOST bytes."""

import os
import struct
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ITEMS = 0xF000  # as in fw_cfg_rom.S
ENDED, MOST = 33, 0x3000
DIRECTORY = 0x19
TOLD = {0x00: 4, 0x01: 4, 0x02: 16, 0x03: 8, 0x04: 2, 0x05: 2, 0x0D: 64, 0x0E: 2, 0x0F: 2, 0x8002: 4, 0x8004: 121}


def _rom(program):
    parts, path = program.file("fw_cfg.o"), program.file("fw_cfg.rom")
    subprocess.run(["as", "--32", "-o", parts, os.path.join(HERE, "fw_cfg_rom.S")], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", parts, path], check=True)
    with open(path, "r+b") as file:
        file.seek(ITEMS)
        file.write(b"".join(struct.pack("<HH", selector, length) for selector, length in TOLD.items()) + b"\xff\xff")
    return path


def view(program, *words, timeout):
    told = program.file("fw_cfg.told")
    run = program.run("-M", "q35", "-nodefaults", "-display", "none", "-bios", _rom(program), "-debugcon", f"file:{told}",
                      "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", *words, timeout=timeout)
    assert run.returncode == ENDED, run
    with open(told, "rb") as file:
        data = file.read()
    items, at = {}, 0
    while at < len(data):
        selector, length = struct.unpack_from("<II", data, at)
        items[selector] = data[at + 8 : at + 8 + length]
        assert len(items[selector]) == length, (selector, length)
        at += 8 + length
    directory, files = items.pop(DIRECTORY), {}
    for number in range(struct.unpack_from(">I", directory)[0]):
        size, selector, name = struct.unpack_from(">IHxx56s", directory, 4 + 64 * number)
        assert selector == 0x20 + number, "files are numbered in order"
        files[name.rstrip(b"\0").decode()] = items.pop(selector)
        assert len(files[name.rstrip(b"\0").decode()]) == min(size, MOST)
    return items, files


def commands(script):
    """What a table-loader script does: the kinds of its commands and the files they are about."""
    def text(raw):
        return raw.split(b"\0")[0].decode()
    found = []
    for at in range(0, len(script), 128):
        kind = struct.unpack_from("<I", script, at)[0]
        if kind:
            source = text(script[at + 60 : at + 116]) if kind in (2, 4) else ""
            found.append((kind, text(script[at + 4 : at + 60]), source))
    return found

"""On any KVM that runs a guest of a few instructions: each name of a virtio device, as a ROM that reads configuration space sees it on nandu and QEMU."""

import os
import subprocess

from nandu import run_cases

QEMU = "qemu-system-x86_64"
HERE = os.path.dirname(os.path.abspath(__file__))
BOARD = ["-M", "q35", "-accel", "kvm", "-nodefaults", "-display", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
ENDED = 33
DEVICES = ("blk", "net", "rng", "scsi", "serial", "balloon")


def _rom(nandu):
    rom = nandu.file("rom")
    subprocess.run(["as", "--32", "-o", rom + ".o", os.path.join(HERE, "pci_ids_rom.S")], check=True)
    subprocess.run(["ld", "-m", "elf_i386", "-e", "0", "-Ttext=0", "--oformat", "binary", "-o", rom, rom + ".o"], check=True)
    with open(nandu.file("disk"), "wb") as file:
        file.truncate(1 << 20)
    return rom


def _sees(nandu, program, rom, suffix, bus):
    """What a guest sees of every device by the name with this suffix."""
    log = nandu.file("log")
    words = [*BOARD, "-bios", rom, "-debugcon", f"file:{log}", "-drive", "file=disk,format=raw,if=none,id=disk"]
    for number, device in enumerate(DEVICES):
        if bus:
            words += ["-device", f"pcie-root-port,id=port{number},chassis={number}"]
        words += ["-device", f"virtio-{device}-pci{suffix}" + (f",bus=port{number}" if bus else "") + (",drive=disk" if device == "blk" else "")]
    result = subprocess.run([program, *words], cwd=nandu.directory, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
    assert result.returncode == ENDED, (program, result.returncode, result.stderr)
    with open(log, encoding="ascii") as file:
        return file.read().splitlines()


def every_name_is_qemus(nandu):
    rom = _rom(nandu)
    for suffix in ("", "-transitional", "-non-transitional"):
        for bus in (False, True):
            ours, theirs = _sees(nandu, nandu.path, rom, suffix, bus), _sees(nandu, QEMU, rom, suffix, bus)
            assert ours == theirs, (suffix, bus, ours, theirs)
            ids = [line.split()[1] for line in ours if line.split()[1].endswith("1af4")]
            modern = suffix == "-non-transitional" or (bus and not suffix)
            assert len(ids) == len(DEVICES) and all(name.startswith("104" if modern else "100") for name in ids), (suffix, bus, ids)


def names_have_no_choice_of_interface(nandu):
    rom = _rom(nandu)
    for suffix in ("-transitional", "-non-transitional"):
        for words in (["-device", f"virtio-rng-pci{suffix},disable-legacy=on"], ["-device", f"virtio-rng-pci{suffix},disable-modern=off"],
                      ["-global", "virtio-pci.disable-legacy=on", "-device", f"virtio-rng-pci{suffix}"]):
            result = nandu.refused(*BOARD, "-bios", rom, *words)
            assert result.returncode == 1 and "disable-" in result.stderr and len(result.stderr.splitlines()) == 1, (words, result.returncode, result.stderr)


if __name__ == "__main__":
    run_cases([every_name_is_qemus, names_have_no_choice_of_interface])

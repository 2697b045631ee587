"""Firmware's view of the board: fw_cfg's items and files are those of QEMU 7.2 for the same command line, and SeaBIOS boots a disk by itself."""

import os
import shutil

from fw_cfg_view import commands, view
from nandu import Program, run_cases

PATIENCE_S = 200 if os.environ.get("LAB") == "nested" else 30
# What QEMU alone has: no guest needs a patch of its task priority accesses where KVM keeps the local APIC, and SMM comes later.
QEMUS_ALONE = {"genroms/kvmvapic.bin", "etc/smi/features-ok", "etc/smi/requested-features", "etc/smi/supported-features"}
# What follows from the devices of the DSDT, which board.lab compares; and suspend to RAM, which is not served.
DIFFERENT = {"etc/acpi/tables", "etc/acpi/rsdp", "etc/table-loader", "etc/system-states"}
UUID = "11223344-5566-7788-99aa-bbccddeeff00"


def _disk(nandu):
    """A disk whose boot sector writes a line to the serial port and ends the guest (isa-debug-exit, status 33)."""
    code = bytes.fromhex("fa31c08ed8be207cbaf803ac84c07403eeebf8ba0105b010eef4ebfd")
    sector = code.ljust(0x20, b"\0") + b"the boot sector runs\n\0"
    path = nandu.file("disk.raw")
    with open(path, "wb") as file:
        file.write(sector.ljust(510, b"\0") + b"\x55\xaa")
        file.truncate(1 << 20)
    return path


def _seen(nandu, *words):
    """By this program and by QEMU."""
    qemu = shutil.which("qemu-system-x86_64")
    assert qemu, "there is no qemu-system-x86_64 to compare with (Debian's qemu-system-x86)"
    directory = nandu.file("qemu")
    os.makedirs(directory, exist_ok=True)
    return [view(program, "-accel", "kvm", "-cpu", "qemu64", *words, timeout=PATIENCE_S) for program in (nandu, Program(qemu, directory))]


def _compare(here, there):
    (items, files), (their_items, their_files) = here, there
    assert items == their_items, {f"{key:#x}": (items[key], their_items[key]) for key in items if items[key] != their_items[key]}
    names = [name for name in their_files if name not in QEMUS_ALONE]
    assert list(files) == names, (list(files), names)
    assert QEMUS_ALONE <= {*their_files}, "listed as QEMU's alone, and QEMU has it not"
    for name, data in files.items():
        if name not in DIFFERENT:
            assert data == their_files[name], (name, data[:200], their_files[name][:200])
    # The same commands, one table more or less aside: the order firmware does them in is QEMU's.
    ours, theirs = commands(files["etc/table-loader"]), commands(their_files["etc/table-loader"])
    assert ours == theirs, (ours, theirs)


def fw_cfg_is_qemus(nandu):
    disk = _disk(nandu)
    _compare(*_seen(nandu, "-m", "256M", "-drive", f"file={disk},format=raw,if=none,id=d,read-only=on",
                    "-device", "pcie-root-port,id=pci.1,addr=5,chassis=1,slot=1", "-device", "virtio-blk-pci,drive=d,bus=pci.1,bootindex=7",
                    "-device", "ide-cd,bus=ide.3,bootindex=3", "-device", "virtio-scsi-pci,id=s", "-device", "scsi-cd,bus=s.0,scsi-id=9,bootindex=5",
                    "-boot", "menu=on,strict=on,splash-time=300,reboot-timeout=500", "-fw_cfg", "name=opt/org.example/x,string=a,,b"))


def fw_cfg_of_a_large_board_is_qemus(nandu):
    _compare(*_seen(nandu, "-m", "3G", "-smp", "4,sockets=2,cores=2,threads=1", "-uuid", UUID, "-object", "memory-backend-ram,id=m0,size=1G",
                    "-object", "memory-backend-ram,id=m1,size=2G", "-numa", "node,cpus=0-1,memdev=m0", "-numa", "node,cpus=2-3,memdev=m1",
                    "-device", "vmgenid,guid=324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87", "-smbios", "type=0,vendor=me", "-smbios", "type=1,product=it"))


def seabios_boots_a_disk(nandu):
    for device, path in (("virtio-blk-pci", "scsi@1/disk@0,0"), ("ide-hd", "pci8086,2922@1f,2/drive@0/disk@0"),
                         ("virtio-scsi-pci,addr=3 -device scsi-hd", "scsi@3/channel@0/disk@0,0")):
        _seabios_boots(nandu, device, path)


def _seabios_boots(nandu, device, path):
    log, console = nandu.file("log"), nandu.file("console")
    run = nandu.run("-M", "q35", "-accel", "kvm", "-nodefaults", "-display", "none", "-m", "64M", "-serial", f"file:{console}",
                    "-chardev", f"file,id=log,path={log}", "-device", "isa-debugcon,iobase=0x402,chardev=log", "-device", "isa-debug-exit",
                    "-drive", f"file={_disk(nandu)},format=raw,if=none,id=d", *f"-device {device},drive=d,bootindex=1".split(), timeout=PATIENCE_S)
    with open(log, encoding="ascii", errors="replace") as file:
        said = file.read()
    assert run.returncode == 33, (run, said[-2000:])
    assert "SeaBIOS (version" in said and "QEMU fw_cfg DMA interface supported" in said, said
    assert f"1: /pci@i0cf8/{path}" in said, said
    with open(console, encoding="ascii") as file:
        assert file.read() == "the boot sector runs\n"


def without_seabios_there_is_a_sentence(nandu):
    run = nandu.run("-M", "q35", "-nodefaults", "-display", "none", "-bios", "no-such.bin")
    assert run.returncode == 1 and "no-such.bin" in run.stderr and "-L" in run.stderr, run


run_cases([fw_cfg_is_qemus, fw_cfg_of_a_large_board_is_qemus, seabios_boots_a_disk, without_seabios_there_is_a_sentence])

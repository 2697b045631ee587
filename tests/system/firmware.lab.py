"""Firmware boots stock guests: SeaBIOS loads Debian's kernel and is there again after a reset; OVMF keeps its variables; a board has no ACPI
tables, or more of them."""

import os
import re
import shutil
import subprocess

from guest import PATIENCE_S, Guest, run_task
from nandu import Program, run_cases

OVMF = "/usr/share/OVMF"
UUID = "11223344-5566-7788-99aa-bbccddeeff00"
# What OVMF's shell runs: shows a variable, sets it, and powers off.
STARTUP = f"setvar Remembered -guid {UUID}\r\nsetvar Remembered -guid {UUID} -nv -bs -rt =0x2a2b\r\nreset -s\r\n"


def _log(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def seabios_boots_debian_twice(nandu):
    counter = nandu.file("counter")
    with open(counter, "wb") as file:
        file.write(b"0\n")
        file.truncate(65536)
    script = """
for disk in /sys/block/vd*; do [ "$(cat $disk/serial)" != counter ] || disk_path=/dev/${disk##*/}; done
read n < $disk_path
echo "start $n"
if [ $n = 1 ]; then cat /proc/cmdline; exit; fi
echo $((n + 1)) | dd of=$disk_path conv=notrunc,fsync bs=512 2> /dev/null || exit 1
reboot -f
sleep 60
"""
    log = nandu.file("seabios.log")
    with Guest(nandu, "-bios", "bios-256k.bin", "-chardev", f"file,id=log,path={log}", "-device", "isa-debugcon,iobase=0x402,chardev=log",
               "-drive", f"file={counter},format=raw,if=none,id=counter", "-device", "virtio-blk-pci,drive=counter,serial=counter",
               image="vmlinuz", smp="2", memory="256M", task=script) as guest:
        guest.ends_cleanly()
        lines = guest.console().splitlines()
        assert [line for line in lines if line.startswith("start ")] == ["start 0", "start 1"], lines
        resets = [event for event in guest.qmp.events if event["event"] == "RESET"]
        assert [event["data"] for event in resets] == [{"guest": True, "reason": "guest-reset"}], resets
    said = _log(log)
    assert said.count("Booting from ROM...") == 2, said[-3000:]
    assert said.count("Found 2 cpu(s) max supported 2 cpu(s)") == 2, said[-3000:]


def _by_both(nandu, script, *words, **options):
    """What a guest says under nandu and under QEMU."""
    seen = []
    for path in (nandu.path, "qemu-system-x86_64"):
        vmm = Program(path, nandu.file("by-" + os.path.basename(path)))
        os.mkdir(vmm.directory)
        seen.append(run_task(vmm, script, *words, **options))
        vmm.kill_all()
    print("       " + seen[0].replace("\n", "\n       "), flush=True)
    assert seen[0] == seen[1], seen
    return seen[0]


def a_board_without_acpi(nandu):
    """SeaBIOS makes MP tables and, where the machine brings none, ACPI tables of its own."""
    script = """
cd /sys/firmware/acpi/tables && ls | grep -v '^d'
nproc
dmesg | grep -i -o 'MultiProcessor Specification.*'
ls /sys/bus/acpi/devices | grep -c .
grep -c virtio /proc/interrupts"""
    output = _by_both(nandu, script, "-no-acpi", image="vmlinuz", smp="2", memory="256M")
    assert "SSDT" in output and "WAET" not in output, "these are the machine's own tables"


def a_table_of_the_users_is_qemus(nandu):
    body = nandu.file("body")
    with open(body, "wb") as file:
        file.write(bytes(range(100)))
    tables = ["-acpitable", f"sig=TST1,rev=2,oem_id=MAKER,oem_rev=258,data={body}", "-acpitable", f"sig=SLIC,oem_id=SELLER,oem_table_id=LICENCED,data={body}"]
    script = "cd /sys/firmware/acpi/tables; for t in TST1 SLIC; do sha256sum $t; done; dd if=FACP bs=1 skip=10 count=14 2>/dev/null; echo"
    assert "SELLERLICENCED" in _by_both(nandu, script, *tables, memory="256M")


def _ovmf(nandu, variables, console):
    disk, script = nandu.file("fat.img"), nandu.file("startup.nsh")
    if not os.path.exists(disk):
        with open(script, "w", encoding="ascii") as file:
            file.write(STARTUP)
        subprocess.run(["mformat", "-C", "-i", disk, "-f", "2880", "::"], check=True)
        subprocess.run(["mcopy", "-i", disk, script, "::"], check=True)
    run = nandu.run("-M", "q35", "-accel", "kvm", "-cpu", "host", "-nodefaults", "-display", "none", "-m", "256M", "-serial", f"file:{console}",
                    "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={OVMF}/OVMF_CODE_4M.fd",
                    "-drive", f"if=pflash,unit=1,format=raw,file={variables}",
                    "-drive", f"file={disk},format=raw,if=none,id=d,read-only=on", "-device", "virtio-blk-pci,drive=d", timeout=PATIENCE_S)
    said = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", _log(console))
    assert run.returncode == 0, (run, said[-2000:])
    return said


def ovmf_keeps_its_variables(nandu):
    variables = nandu.file("vars.fd")
    shutil.copy(f"{OVMF}/OVMF_VARS_4M.fd", variables)
    first = _ovmf(nandu, variables, nandu.file("first"))
    assert "Unable to get" in first and "Remembered" in first, first[-2000:]
    second = _ovmf(nandu, variables, nandu.file("second"))
    assert re.search(r"Remembered - 0002 Bytes\s+2B 2A", second), second[-2000:]
    assert os.path.getsize(variables) == os.path.getsize(f"{OVMF}/OVMF_VARS_4M.fd")


run_cases([seabios_boots_debian_twice, a_board_without_acpi, a_table_of_the_users_is_qemus, ovmf_keeps_its_variables])

"""The q35 board as a stock Debian sees it: every device works, and the same guest with the same words sees the same board under QEMU 7.2.

What differs is in DIFFERENT and DIFFERENT_REGISTERS, with a reason each. Anything else that differs fails, and so does what is listed and
differs no more.
"""

import os
import re
import shutil
import subprocess
import zlib

import board_chips
from board_guest import RANDOM_BYTES, RNGS, boot
from guest import run_task
from nandu import Program, run_cases

HOTPLUG = "hot-plug comes later"
FIRMWARE, SMM = "a network card's own option ROM comes with network boot", "system management mode comes with firmware"
# What the guest has under QEMU alone, or here alone.
DIFFERENT = {
    "bars": {("00:02.0", 6): FIRMWARE, ("02:00.0", 6): FIRMWARE},
    "acpi": {r"\_SB_.PCI0.PRES": HOTPLUG, r"\_SB_.PCI0.PHPR": HOTPLUG, r"\_SB_.PCI0.S80_.S00_": HOTPLUG, r"\_SB_.PCI0.S81_.S00_": HOTPLUG,
             r"\_SB_.PCI0.S82_.S00_": HOTPLUG, r"\_SB_.PCI0.S83_.S00_": HOTPLUG},
}
# Registers of functions, from the first to the last byte.
DIFFERENT_REGISTERS = {
    "00:00.0": {(0x50, 0x51): SMM, (0x9D, 0x9D): SMM, (0x90, 0x96): "no BIOS copies itself below 1 MiB and protects the copy"},
    "00:1f.0": {(0xA0, 0xA0): SMM},
    # Link, slot capabilities, slot control and status.
    "00:10.0": {(0x66, 0x6F): HOTPLUG},
    "00:10.1": {(0x66, 0x6F): HOTPLUG},
    "00:10.2": {(0x66, 0x6F): HOTPLUG},
    "00:10.3": {(0x66, 0x6F): HOTPLUG},
}
# Where the addresses of a function (its BARs and ROM) or a bridge (and its windows) are: whoever sets them up chooses them.
ADDRESSES = {0: ((0x10, 0x27), (0x30, 0x33)), 1: ((0x10, 0x17), (0x1C, 0x1D), (0x20, 0x33))}
FIRST_BAR = 0xC000  # of those in ports
# What a guest's kernel chooses for itself: the message of an MSI.
MESSAGES = {"00:1f.2": ((0x84, 0x8D),)}
# Of the FADT: its checksum, and where FACS and DSDT are.
FADT_ADDRESSES = ((9, 9), (36, 43), (132, 147))
# What a slow host brings about: an emulated processor is late for the clock's interrupts.
LATE = r"hpet: Lost \d+ RTC interrupts|hrtimer: interrupt took \d+ ns"
WRONG = r"ACPI BIOS|ACPI Error|ACPI Warning|can't assign|failed to assign|no space for|nobody cared|Call Trace|BUG:|WARNING:|Oops|" \
        r"clocksource: .*unstable|spurious|timed out|Hardware Error|lost interrupt|MP-BIOS bug|not responding"
# What the guest's kernel says it found.
FOUND = (r"hpet0: at MMIO 0xfed00000", r"serio: i8042 KBD port at 0x60,0x64 irq 1", r"serio: i8042 AUX port at 0x60,0x64 irq 12",
         r"ttyS0 at I/O 0x3f8 \(irq = 4, base_baud = 115200\) is a 16550A", r"ttyS1 at I/O 0x2f8 \(irq = 3, base_baud = 115200\) is a 16550A",
         r"input: AT Translated Set 2 keyboard", r"rtc_cmos .*: registered as rtc0", r"x86/PAT: Configuration \[0-7\]: WB +WC ",
         r"printk: console \[ttyS0\] enabled")

_reports = {}


def _report(nandu, name, path):
    """One boot serves all cases."""
    if name not in _reports:
        directory = nandu.file(name)
        os.mkdir(directory)
        _reports[name] = boot(Program(path, directory))
    return _reports[name]


def _qemus(nandu):
    path = shutil.which("qemu-system-x86_64")
    assert path, "there is no qemu-system-x86_64 to compare with (Debian's qemu-system-x86)"
    version = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout
    assert "version 7.2." in version, f"the board is that of QEMU 7.2, and this is {version.splitlines()[0]}"
    return _report(nandu, "qemu", path)[0]


def _carries(interrupts, name, chip="PCI-MSI"):
    """The interrupt is of that kind and came."""
    found = interrupts.get(name)
    return found is not None and found.chip.startswith(chip) and found.count > 0


def every_device_works(nandu):
    report, errors = _report(nandu, "nandu", nandu.path)
    assert errors == "", errors
    log = "\n".join(report.dmesg())
    assert not re.search(WRONG, log, re.I), re.findall(f".*(?:{WRONG}).*", log, re.I)
    for found in FOUND:
        assert re.search(found, log), found
    classes = {attribute: value for (_, attribute), value in report.pairs("classes")}
    assert classes["current_clocksource"] == "kvm-clock" and "hpet" in classes["available_clocksource"].split(), classes
    assert classes["rng_available"].split() == list(RNGS), classes
    drawn = [report.files["random." + rng] for rng in RNGS]
    assert len({*drawn}) == 2 and all(len(zlib.compress(bytes_)) > RANDOM_BYTES == len(bytes_) for bytes_ in drawn), "not random"
    interrupts, virtio = report.interrupts(), {function: device for device, function in report.virtio().items()}
    assert _carries(interrupts, "rtc0", "IO-APIC 8-edge"), interrupts
    # By transitional identity; the modern ones behind ports are 1040 plus the type.
    kinds = {"1000": "net", "1041": "net", "1001": "blk", "1042": "blk", "1003": "console", "1043": "console", "1005": "rng", "1044": "rng"}
    vectors = {"net": ["input.0", "output.0"], "blk": ["req.0", "req.1"], "console": ["virtqueues"], "rng": ["input"]}
    for function, device in virtio.items():
        vendor, identity = report.ids(function).split(":")
        kind = kinds[identity]
        assert vendor == "1af4" and (identity >= "1040") == (not function.startswith("00:")), (function, identity)
        if interrupts.get(device):
            assert _carries(interrupts, device, "IO-APIC ") and interrupts[device].chip.endswith("-fasteoi"), interrupts[device]
            continue
        assert f"{device}-config" in interrupts, (function, interrupts)
        queues = [f"{device}-{queue}" for queue in vectors[kind]]
        assert all(queue in interrupts for queue in queues), (queues, interrupts)
        # Which vCPU's queue a disk is used through is the guest's choice.
        assert (any if kind == "blk" else all)(_carries(interrupts, queue) for queue in queues), (queues, interrupts)
    assert len(virtio) == 12 and sum(device in interrupts for device in virtio.values()) == 1, (virtio, interrupts)
    packed = next(value for (device, _), value in report.pairs("features") if device == virtio["00:05.0"])
    assert packed[34] == "1", packed  # VIRTIO_F_RING_PACKED


def _differences(what, ours, theirs):
    listed = DIFFERENT.get(what, {})
    for key in sorted({*ours, *theirs, *listed}, key=str):
        if key in listed:
            if (key in ours) == (key in theirs):
                yield f"{what}: {key} is listed as different ({listed[key]}), and is not"
        elif ours.get(key) != theirs.get(key):
            yield f"{what}: {key}: {ours.get(key)} here, {theirs.get(key)} under QEMU"


def _within(byte, ranges):
    return any(first <= byte <= last for first, last in ranges)


def _register_differences(ours, theirs):
    for function in sorted({*ours.configs} & {*theirs.configs}):
        here, there, listed = ours.configs[function], theirs.configs[function], DIFFERENT_REGISTERS.get(function, {})
        if len(here) != len(there):
            yield f"{function}: {len(here)} bytes of registers here, {len(there)} under QEMU"
        different = [byte for byte in range(min(len(here), len(there))) if here[byte] != there[byte]]
        for byte in different:
            if not _within(byte, (*ADDRESSES[here[0x0E] & 0x7F], *MESSAGES.get(function, ()), *listed)):
                yield f"{function}: register {byte:#x} is {here[byte]:#04x} here, {there[byte]:#04x} under QEMU"
        for span, reason in listed.items():
            if not any(_within(byte, [span]) for byte in different):
                yield f"{function}: registers {span[0]:#x} to {span[1]:#x} are listed as different ({reason}), and are not"


def _masked(table, ranges):
    return bytes(0 if _within(byte, ranges) else value for byte, value in enumerate(table))


def _names(report, keyed):
    """{name: ranges} of /proc/ioports, without PCI functions and what is behind bridges; where BARs are, whoever sets them up chooses."""
    found = {}
    for span, name in re.findall(r"^ *(\S+) : (.*)$", report.text(keyed), re.M):
        if not re.match(r"0000:|PCI Bus 0000:(?!00)", name):
            found.setdefault(name, []).append(span if int(span[:4], 16) < FIRST_BAR else "a BAR")
    return found


def _views(report):
    """What is compared: {aspect: {key: value}}."""
    def there(keys):
        return dict.fromkeys(keys, "there")
    tables = {name: table for name, table in report.tables().items() if name != "DSDT"}  # whose devices are compared instead
    return {
        "functions": {function: report.ids(function) for function in report.configs},
        "bars": report.bars(),
        "acpi": report.acpi_devices(),
        "tables": {name: _masked(table, FADT_ADDRESSES if name == "FACP" else ()).hex() for name, table in tables.items()},
        "pnp": dict(report.pnp_devices()),
        # RAM ends where the BIOS keeps some of it.
        "e820": there(entry for entry in report.e820() if not 0x100000 <= int(entry[0], 16) < 512 << 20),
        "drivers": there(f"{device} {driver}" for device, driver in re.findall(r"([^/\s]+)/driver .*/(.*)", report.text("drivers"))),
        "virtio": report.virtio(),
        "virtio features": dict(report.pairs("features")),
        "interrupts": {name: interrupt.chip for name, interrupt in report.interrupts().items()},
        "ioports": _names(report, "ioports"),
        "links": there(link for link in report.text("links").split() if "/by-diskseq/" not in link),
        "network ports": dict(line.split() for line in report.text("nics").splitlines()),
        "MACs": dict(report.pairs("macs")),
        "inputs": there(re.findall(r'^N: Name="(.*)"', report.text("devices"), re.M)),
        "topology": dict(report.pairs("topology", parts=4)),
        "processors": there(line for line in report.text("cpuinfo").splitlines() if not re.match("cpu MHz|bogomips", line)),
        "CPUID": {(cpu, hex(leaf)): value for cpu in (0, 1) for leaf, value in report.cpuid(cpu).items()},
        "MTRRs": {(cpu, hex(register)): hex(value) for cpu in (0, 1) for register, value in report.mtrrs(cpu).items()},
        "DMI strings": dict(report.pairs("dmi")),
    }


def the_board_is_qemus(nandu):
    ours, theirs = _report(nandu, "nandu", nandu.path)[0], _qemus(nandu)
    here, there = _views(ours), _views(theirs)
    found = [line for what in here for line in _differences(what, here[what], there[what])]
    found += _register_differences(ours, theirs)
    found += [f"warned of here alone: {line}" for line in ours.dmesg(worst=4) if line not in theirs.dmesg(worst=4) and not re.fullmatch(LATE, line)]
    assert not found, "\n" + "\n".join(found)


def without_hpet_the_clock_has_its_interrupt(nandu):
    task = """
ls -1 /sys/firmware/acpi/tables /sys/bus/acpi/devices
cat /sys/devices/system/clocksource/clocksource0/current_clocksource /sys/devices/system/clocksource/clocksource0/available_clocksource
echo +2 > /sys/class/rtc/rtc0/wakealarm
while [ -n "$(cat /sys/class/rtc/rtc0/wakealarm)" ]; do usleep 100000; done
grep rtc0 /proc/interrupts
dmesg | grep -i -e rtc_cmos -e hpet
"""
    output = run_task(nandu, task, "-no-hpet")
    assert not re.search(r"\bHPET\b|PNP0103|hpet", output), output
    assert "\nkvm-clock\n" in output and "\nMCFG\n" in output, output
    assert re.search(r" 8: +[1-9]\d* +IO-APIC +8-edge +rtc0", output), output


if __name__ == "__main__":
    run_cases([every_device_works, the_board_is_qemus, without_hpet_the_clock_has_its_interrupt, *board_chips.CASES])

"""What a guest's CPUs are: `view` runs the guest of cpuid_rom.S under a VMM and answers, per vCPU, what the VMM gave KVM and what the guest saw.

    for cpu in view(nandu, nandu.path, "-cpu", "host", "-smp", "2", cpus=2):
        cpu.given[(1, 0)].eax, cpu.seen[(1, 0)].eax, cpu.registers[0x10a]
"""

import collections
import concurrent.futures
import os
import struct
import subprocess
import tempfile

from nandu import Program

QEMU = "qemu-system-x86_64"
HERE = os.path.dirname(os.path.abspath(__file__))
Leaf = collections.namedtuple("Leaf", "eax ebx ecx edx")
Cpu = collections.namedtuple("Cpu", "apic_id given seen registers")
NOTHING = Leaf(0, 0, 0, 0)
CPU, REGISTER = 0xFFFFFFFE, 0xFFFFFFFF  # as in cpuid_rom.S
CPUS_OFFSET = 0xFF00
SIGNIFICANT_INDEX = 1
ENTRY = "<7I12x"  # kvm_cpuid_entry2
GUEST_ENDED = 33
# What QEMU says before it aborts on a KVM without a register that a feature comes with.
QEMUS_ABORTS = ("error: failed to set MSR", "kvm_put_msr_feature_control: Assertion")
LINES = 6


def _build(nandu):
    spy, rom, parts = nandu.file("spy.so"), nandu.file("cpuid.rom"), nandu.file("cpuid.o")
    if not os.path.exists(rom):
        subprocess.run(["gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", spy, os.path.join(HERE, "cpuid_spy.c"), "-ldl"], check=True)
        subprocess.run(["as", "--32", "-o", parts, os.path.join(HERE, "cpuid_rom.S")], check=True)
        subprocess.run(["ld", "-m", "elf_i386", "-e", "0", "-Ttext=0x8000", "--oformat", "binary", "-o", rom, parts], check=True)
    with open(rom, "rb") as file:
        return spy, bytearray(file.read())


def _given(path):
    """(leaves, registers) per vCPU, in the order in which they were made; what was given last counts."""
    by_fd, data = {}, b""
    if os.path.exists(path):
        with open(path, "rb") as file:
            data = file.read()
    while data:
        fd, entries = struct.unpack_from("<II", data)
        data = data[8:]
        if entries == 0:
            number, value = struct.unpack_from("<QQ", data)
            by_fd[fd][1][number], data = value, data[16:]
            continue
        leaves = {}
        for function, index, flags, *registers in struct.iter_unpack(ENTRY, data[: entries * 40]):
            if any(registers):  # KVM answers zeros for what is absent
                leaves[function, index if flags & SIGNIFICANT_INDEX else 0] = Leaf(*registers)
        by_fd[fd], data = (leaves, {}), data[entries * 40 :]
    return list(by_fd.values())


def _seen(data):
    """(APIC ID, leaves, registers) per vCPU."""
    cpus = []
    for kind, number, *values in struct.iter_unpack("<6I", data):
        if kind == CPU:
            cpus.append((number, {}, {}))
        elif kind == REGISTER:
            cpus[-1][2][number] = None if values[2] else values[1] << 32 | values[0]
        elif any(values):
            cpus[-1][1][kind, number] = Leaf(*values)
    return sorted(cpus, key=lambda cpu: cpu[0])


class Host:
    """A host that a VMM believes to be on: what its KVM supports instead, and its feature registers."""

    def __init__(self, leaves, registers):
        self.leaves, self.registers = leaves, registers

    def write(self, path):
        with open(path, "wb") as file:
            file.write(struct.pack("<II", len(self.leaves), len(self.registers)))
            for (function, index), values in self.leaves.items():
                file.write(struct.pack(ENTRY, function, index, SIGNIFICANT_INDEX if function in (4, 7, 0xB, 0xD, 0x12, 0x14, 0x1D, 0x1E) else 0, *values))
            for register in self.registers.items():
                file.write(struct.pack("<QQ", *register))


def view(nandu, program, *words, cpus=1, host=None):
    """Every vCPU, in the order of APIC IDs, which is that of creation. With a `host`, what the guest sees is nobody's."""
    spy, rom = _build(nandu)
    rom[CPUS_OFFSET : CPUS_OFFSET + 4] = struct.pack("<I", cpus)
    files = {name: nandu.file(f"view.{name}") for name in ("rom", "given", "seen")}
    for path in files.values():
        if os.path.exists(path):
            os.unlink(path)
    with open(files["rom"], "wb") as file:
        file.write(rom)
    environment = {**os.environ, "LD_PRELOAD": spy, "CPUID_SPY": files["given"]}
    if host:
        environment["CPUID_SPY_HOST"] = nandu.file("view.host")
        host.write(environment["CPUID_SPY_HOST"])
    run = subprocess.run([program, "-M", "q35", "-accel", "kvm", "-nodefaults", "-display", "none", "-m", "16M", *words, "-bios", files["rom"],
                          "-debugcon", f"file:{files['seen']}", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"],
                         env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == GUEST_ENDED, (program, words, run.returncode, run.stderr)
    with open(files["seen"], "rb") as file:
        seen = _seen(file.read())
    given = _given(files["given"])
    assert len(seen) == len(given) == cpus, (program, words, len(seen), len(given))
    if host:
        return [Cpu(apic_id, leaves, {}, {**host.registers, **set_}) for (leaves, set_), (apic_id, _, _) in zip(given, seen)]
    return [Cpu(apic_id, leaves, *rest) for (leaves, _), (apic_id, *rest) in zip(given, seen)]


def _differences(here, there):
    for what in ("given", "seen"):
        mine, other = getattr(here, what), getattr(there, what)
        for leaf in sorted({*mine, *other}):
            pair = mine.get(leaf, NOTHING), other.get(leaf, NOTHING)
            if pair[0] != pair[1]:
                shown = " ".join(f"{name} {a:#x} not {b:#x}" for name, a, b in zip(Leaf._fields, *pair) if a != b)
                yield f"{what} {leaf[0]:#x}.{leaf[1]}: {shown}"
    for number in sorted({*here.registers, *there.registers}):
        pair = here.registers.get(number), there.registers.get(number)
        if pair[0] != pair[1]:
            yield f"register {number:#x} is {pair[0]}, not {pair[1]}"


def with_real_xsave(nandu, leaves):
    """The leaves with this processor's own places of those XSAVE components that it has: QEMU asks the processor for them."""
    program = nandu.file("cpuid_xsave")
    subprocess.run(["gcc", "-O1", "-Wall", "-o", program, os.path.join(HERE, "cpuid_xsave.c")], check=True)
    changed = dict(leaves)
    for line in subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines():
        component, size, offset, flags = (int(word) for word in line.split())
        if (0xD, component) in leaves:
            changed[0xD, component] = (size, offset, flags, 0)
    mask, standard, _, high = leaves[0xD, 0]
    ends = [size + offset for (function, component), (size, offset, *_) in changed.items() if function == 0xD and component > 1 and mask >> component & 1]
    changed[0xD, 0] = (mask, standard, max(ends), high)
    return changed


def differences(ours, theirs):
    """A line for what two views differ in; of many, the first."""
    for index, (here, there) in enumerate(zip(ours, theirs)):
        lines = list(_differences(here, there))
        yield from (f"vCPU {index}: {line}" for line in lines[:LINES])
        if len(lines) > LINES:
            yield f"vCPU {index}: and {len(lines) - LINES} more"


class NothingToCompareWith(Exception):
    """QEMU ends by a signal on this KVM: a software flavour refuses a register that QEMU will not do without."""


def compare(nandu, cpu, smp="1", host=None):
    """What a guest of nandu and one of QEMU with the same words differ in, a line each."""
    cpus = int(smp.split(",")[0])
    views = []
    for program in (nandu.path, QEMU):
        try:
            views.append(view(nandu, program, "-cpu", cpu, "-smp", smp, cpus=cpus, host=host))
        except AssertionError as error:
            if program == QEMU and any(words in str(error) for words in QEMUS_ABORTS):
                raise NothingToCompareWith from error
            return [f"does not run: {error}"]
    return list(differences(*views))


def compare_all(nandu, jobs):
    """The same for many (cpu, smp[, host]), two at a time; fails with what differs. Most of them can be compared on any KVM."""
    alone = []

    def run(job):
        with tempfile.TemporaryDirectory(dir=nandu.directory) as directory:
            try:
                return [f"-cpu {job[0]} -smp {job[1]}: {line}" for line in compare(Program(nandu.path, directory), *job)]
            except NothingToCompareWith:
                alone.append(job)
                return []

    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        found = [line for lines in pool.map(run, jobs) for line in lines]
    assert not found, "\n" + "\n".join(found)
    if alone:
        print(f"       {len(jobs) - len(alone)} compared; QEMU aborts on this KVM with: {', '.join(sorted({job[0] for job in alone}))}", flush=True)
    assert len(alone) < len(jobs), "QEMU aborts with all of them"

"""-cpu on the host's own KVM, of whatever kind: every model, several topologies and the properties give KVM, and show the guest, the CPUID that QEMU 7.2 does.

There is no list of what may differ: nothing does.
"""

import re
import subprocess

from cpuid_view import QEMU, Host, compare_all, with_real_xsave
from guest import NESTED
from nandu import Skip, run_cases

TOPOLOGIES = ("3,sockets=1,cores=3,threads=1", "4,sockets=2,cores=1,threads=2", "6,sockets=1,dies=2,cores=3,threads=1", "8,sockets=2,dies=2,cores=1,threads=2",
              "5,sockets=1,cores=5,threads=1")
PROPERTIES = (
    # Words of libvirt's recordings.
    "qemu64,svm=off", "qemu64,svm=off,hypervisor=on,lahf-lm=on", "host,migratable=on,arch-capabilities=off", "host,migratable=on,host-cache-info=on,l3-cache=off",
    "kvm64,vme=on,x2apic=on,tsc-deadline=on,hypervisor=on,arat=on,tsc-adjust=on,clflushopt=on,clwb=on,umip=on,gfni=on,arch-capabilities=on,mmxext=on,fxsr-opt=on,"
    "lahf-lm=on,cmp-legacy=on,cr8legacy=on,misalignsse=on,3dnowprefetch=on,osvw=on,clzero=on,xsaveerptr=on,rdctl-no=on,skip-l1dfl-vmentry=on,mds-no=on,"
    "pschange-mc-no=on,pni=off",
    "Haswell-noTSX-IBRS,ssbd=on,pcid=off,invtsc=on", "qemu64,kvm-pv-unhalt=on,kvm=off,kvm-hint-dedicated=on,kvm-poll-control=on,kvm-pv-ipi=off,pmu=off",
    # Levels, sizes and names.
    "host,migratable=off", "max,host-phys-bits=off,phys-bits=42", "host,host-phys-bits-limit=40", "EPYC,host-phys-bits=on", "Nehalem,level=5,xlevel=0x80000004",
    "486,+cx16,min-level=4,min-xlevel=0x80000004", "Nehalem,full-cpuid-auto-level=off,+xsave", "486,+arat", "pentium3,+lm,+nx", "kvm64,min-xlevel2=0xc0000001",
    "Conroe,+avx512-bf16", "Penryn,+xsaveopt", "Opteron_G1,svm=on", "EPYC,svm=on,-npt", "Haswell,vmx=on", "kvm64,family=6,model=85,stepping=7,model-id=Me",
    # Caches.
    "EPYC,legacy-cache=on", "EPYC-Rome,l3-cache=off", "EPYC-Milan,vendor=AuthenticAMD", "Opteron_G3,vendor=AuthenticAMD", "Dhyana,vendor=HygonGenuine", "host,l3-cache=off",
    # Features that CPUID tells of in its own way.
    "host,pmu=off", "Skylake-Server,pmu=on", "qemu64,+invtsc", "host,-kvmclock,-kvm-steal-time", "base,+sse,+lm", "host,cpuid-0xb=off", "host,kvm=off,hypervisor=off",
    "qemu64,+arch-capabilities,+rdctl-no", "max,vmware-cpuid-freq=off,+invtsc", "host,ucode-rev=0x1234", "Westmere,-x2apic,+tsc-deadline", "Icelake-Server,+intel-pt", "host,-apic",
    "phenom,-clflush,+ht,+cmp-legacy", "Cooperlake,-arch-capabilities", "Snowridge,-core-capability",
)


# A processor of Intel's with everything that KVM can have of it, for a VMM to believe in: this host's has less, or none of some. Absent are what would need
# the real one's XSAVE components (MPX, protection keys, AMX), KVM's devices (SGX), or a PMU of its own (architectural LBRs).
ALL = 0xFFFFFFFF
RICH_LEAVES = {
    (0, 0): (0x20, 0x756E6547, 0x6C65746E, 0x49656E69), (1, 0): (0xA0671, 0x800, ALL & ~(1 << 27), ALL), (6, 0): (4, 0, 0, 0),
    (7, 0): (1, ALL & ~(1 << 2 | 1 << 14), ALL & ~(1 << 3 | 1 << 30), ALL & ~(1 << 19 | 1 << 22 | 1 << 24 | 1 << 25)), (7, 1): (ALL, 0, 0, 0),
    (0xD, 0): (0xE7, 0x240, 0xA80, 0), (0xD, 1): (0x1F, 0x240, 0x100, 0), (0xD, 2): (0x100, 0x240, 0, 0), (0xD, 5): (0x40, 0x440, 0, 0),
    (0xD, 6): (0x200, 0x480, 0, 0), (0xD, 7): (0x400, 0x680, 0, 0), (0xD, 8): (0x80, 0, 1, 0), (0x14, 0): (1, 0xF, 7, 0), (0x14, 1): (0x02490002, 0x003F3FFF, 0, 0),
    (0x80000000, 0): (0x80000008, 0, 0, 0), (0x80000001, 0): (0, 0, ALL, ALL), (0x80000007, 0): (0, 0, 0, 0x100), (0x80000008, 0): (0x3930, ALL, 0, 0),
    (0x8000000A, 0): (1, 16, 0, ALL)}
RICH_REGISTERS = {
    0x10A: 0x1FF, 0x345: 0x2000, 0x480: 0x00D8100011E57ED0, 0x481: 0x0000007F00000016, 0x482: 0xFFF9FFFE0401E172, 0x483: 0x01FFFFFF00036DFF,
    0x484: 0x0003FFFF000011FF, 0x485: 0x0000000020000165, 0x486: 0x80000021, 0x487: 0xFFFFFFFF, 0x488: 0x2000, 0x489: 0x1FF2FFF, 0x48A: 0x2E,
    0x48B: 0x021FFFFF00000000, 0x48C: 0x00000F0106734141, 0x48D: 0x0000007F00000016, 0x48E: 0xFFF9FFFE04006172, 0x48F: 0x01FFFFFF00036DFB,
    0x490: 0x0003FFFF000011FB, 0x491: 1, **dict.fromkeys((0x560, 0x561, 0x570, 0x571, 0x572, *range(0x580, 0x588)), 0)}
ON_RICH_HOST = (
    "host", "host,migratable=off", "max,pmu=off", "host,vmx=off", "host,-vmx-ins-outs,-vmx-true-ctls", "Conroe,vmx=on", "kvm64,vmx=on", "kvm32,vmx=on", "KnightsMill,vmx=on",
    "Nehalem,vmx=on", "Haswell,vmx=on,-vmx-cr3-load-noexit,-vmx-entry-noload-debugctl", "Skylake-Server-v5,vmx=on,-vmx-ept", "Icelake-Server-v6,vmx=on,-vmx-vpid,-rdtscp",
    "Cascadelake-Server,vmx=on,-vmx-secondary-ctls", "Snowridge,vmx=on", "Haswell", "Haswell,-xsave", "Skylake-Client,-avx", "Icelake-Server-v5", "Cooperlake,+pdcm,pmu=on",
    "Icelake-Server,+intel-pt", "Icelake-Server,+intel-pt,+intel-pt-lip", "EPYC-Milan,vendor=AuthenticAMD,svm=on", "Opteron_G5,vendor=AuthenticAMD", "Denverton-v3")


def _needs_speed():
    if NESTED:
        raise Skip("some hundred starts of QEMU, a few seconds each on an emulated processor; cpu.lab.py compares a selection")


def _models():
    """Every version of every model, and those without any."""
    text = subprocess.run([QEMU, "-cpu", "help"], check=True, capture_output=True, text=True).stdout
    lines = re.findall(r"^x86 (\S+) +(.*)$", text, re.M)
    models = [name for name, what in lines if not what.startswith("(alias")]
    assert len(models) > 70, models
    return models


def every_model_is_qemus(nandu):
    _needs_speed()
    compare_all(nandu, [(model, "1") for model in _models()])


def names_without_a_version_are_qemus(nandu):
    compare_all(nandu, [(model, "1") for model in ("Haswell", "Haswell-noTSX-IBRS", "Skylake-Server", "EPYC-IBPB", "qemu64")])


def topologies_are_qemus(nandu):
    _needs_speed()
    jobs = [(cpu, smp) for cpu in ("host", "EPYC-Rome,vendor=AuthenticAMD") for smp in TOPOLOGIES]
    jobs += [("qemu64", TOPOLOGIES[3]), ("Skylake-Server", TOPOLOGIES[0]), ("host,host-cache-info=on", TOPOLOGIES[1]), ("Opteron_G3,vendor=AuthenticAMD", TOPOLOGIES[1]),
             ("EPYC", TOPOLOGIES[3]), ("Nehalem", TOPOLOGIES[2])]
    compare_all(nandu, jobs)


def properties_are_qemus(nandu):
    _needs_speed()
    compare_all(nandu, [(cpu, "1") for cpu in PROPERTIES])


def a_richer_host_is_what_qemu_makes_of_it(nandu):
    leaves, registers, chosen = dict(RICH_LEAVES), dict(RICH_REGISTERS), ON_RICH_HOST
    if NESTED:
        # Each takes many seconds on an emulated processor: a few stand for all. It has no XSAVE, of which QEMU asks the processor itself.
        chosen = ON_RICH_HOST[::6]
        signature, ebx, ecx, edx = leaves[1, 0]
        leaves[1, 0] = (signature, ebx, ecx & ~(1 << 26), edx)
        leaves = {at: leaf for at, leaf in leaves.items() if at[0] != 0xD}
    else:
        leaves = with_real_xsave(nandu, leaves)
        registers[0x48B] &= ~(1 << 52)  # nor VMX's control of XSAVES
    rich = Host(leaves, registers)
    compare_all(nandu, [(cpu, "1", rich) for cpu in chosen])


def help_is_qemus(nandu):
    ours = nandu.run("-cpu", "help")
    theirs = subprocess.run([QEMU, "-cpu", "help"], check=True, capture_output=True, text=True).stdout
    assert ours.returncode == 0, ours
    own = [line for line in ours.stdout.splitlines() if line.startswith("x86 x86-64-v")]
    assert len(own) == 3, own
    # And a section of properties at its end.
    here = [line for line in ours.stdout.splitlines() if line not in own]
    assert here[: len(theirs.splitlines())] == theirs.splitlines(), "\n".join(here)


def _lost(stderr):
    return sorted(re.findall(r"(?:CPUID|MSR)\S+ \[bit \d+\]", stderr))


def what_the_host_lacks_is_one_line(nandu):
    words = ["-M", "q35", "-accel", "kvm", "-nodefaults", "-display", "none", "-m", "16M", "-cpu", "Haswell,+sgx"]
    rom = nandu.file("rom")
    with open(rom, "wb") as file:
        file.write(b"\xf4" * (65536 - 16) + b"\xe6\xf4".ljust(16, b"\xf4"))  # out 0xf4, al
    words += ["-bios", rom, "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]
    theirs = subprocess.run([QEMU, *words], capture_output=True, text=True, timeout=60, check=False)
    ours = nandu.run(*words)
    assert ours.returncode == theirs.returncode == 1, (ours, theirs)
    assert _lost(ours.stderr) == _lost(theirs.stderr), (ours.stderr, theirs.stderr)
    lines = ours.stderr.splitlines()
    assert len(lines) == (1 if _lost(theirs.stderr) else 0), lines
    assert nandu.run(*words[:-1], "isa-debug-exit,iobase=0xf4,iosize=0x04", "-cpu", "Haswell,+sgx,check=off").stderr == ""


def enforce_ends_with_a_sentence(nandu):
    result = nandu.run("-M", "q35", "-accel", "kvm", "-nodefaults", "-display", "none", "-cpu", "qemu64,+xcrypt,enforce")
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1, result
    assert "CPUID.C0000001H:EDX.xcrypt [bit 6]" in result.stderr, result.stderr


def bad_words_are_sentences(nandu):
    for cpu, needle in (("Haswel", "did you mean 'Haswell'"), ("Haswell,+avx22", "did you mean 'avx2'"), ("Haswell,migratable=on", "models host and max"),
                        ("host,hv-passthrough", "hv-passthrough"), ("qemu64,hv-synic", "hv-"), ("Haswell,legacy-cache=off", "legacy-cache"), ("host,lmce=on", "lmce"), ("kvm32,phys-bits=40", "phys-bits")):
        result = nandu.run("-M", "q35", "-accel", "kvm", "-nodefaults", "-display", "none", "-cpu", cpu)
        assert result.returncode == 1 and len(result.stderr.splitlines()) == 1 and needle in result.stderr, (cpu, result)


if __name__ == "__main__":
    run_cases([every_model_is_qemus, names_without_a_version_are_qemus, topologies_are_qemus, properties_are_qemus, a_richer_host_is_what_qemu_makes_of_it, help_is_qemus,
               what_the_host_lacks_is_one_line, enforce_ends_with_a_sentence, bad_words_are_sentences])

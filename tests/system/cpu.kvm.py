"""-cpu on the host's own KVM, of whatever kind: every model, several topologies and the properties give KVM, and show the guest, the CPUID that QEMU 7.2 does.

There is no list of what may differ: nothing does.
"""

import re
import subprocess

from cpuid_view import QEMU, compare_all
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
    run_cases([every_model_is_qemus, names_without_a_version_are_qemus, topologies_are_qemus, properties_are_qemus, help_is_qemus,
               what_the_host_lacks_is_one_line, enforce_ends_with_a_sentence, bad_words_are_sentences])

"""-cpu on an AMD processor's KVM, which also can be Hyper-V: guests see the CPUID that QEMU 7.2 shows them, and a Linux lives with the enlightenments."""

import re

from cpuid_view import compare_all
from guest import run_task
from nandu import run_cases

MODELS = ("max", "qemu64", "kvm64", "Opteron_G5", "EPYC", "EPYC-Rome-v2", "EPYC-Milan", "Haswell", "Icelake-Server-v6", "host,migratable=off", "EPYC,svm=on", "host,pmu=off",
          "host,host-cache-info=on")
ALL = "hv-relaxed,hv-vapic,hv-time,hv-spinlocks=0x1fff,hv-vpindex,hv-runtime,hv-synic,hv-stimer,hv-stimer-direct,hv-reset,hv-frequencies,hv-tlbflush,hv-ipi"
HYPERV = ("hv-relaxed", ALL, f"{ALL},hv-crash,hv-reenlightenment,hv-avic,hv-xmm-input,kvm=off", f"{ALL},hv-enforce-cpuid,hv-no-nonarch-coresharing=auto",
          "hv-vpindex,hv-vendor-id=KVMKVMKVM,hv-version-id-build=1,hv-version-id-major=2,hv-version-id-minor=3", "hv-spinlocks=4096,hv-no-nonarch-coresharing=on",
          "hv-vendor-id=Nobody")


def models_are_qemus(nandu):
    compare_all(nandu, [(model, "1") for model in MODELS])


def topologies_are_qemus(nandu):
    compare_all(nandu, [("host", "4,sockets=1,cores=2,threads=2"), ("EPYC", "4,sockets=1,dies=2,cores=2,threads=1")])


def enlightenments_are_qemus(nandu):
    compare_all(nandu, [(f"qemu64,{words}", "1") for words in HYPERV])


TASK = """
dmesg | grep -i -e hypervisor -e hyper-v || true
cat /sys/devices/system/clocksource/clocksource0/available_clocksource
grep -e HYP -e HVS /proc/interrupts || true
"""


def linux_lives_in_hyperv(nandu):
    output = run_task(nandu, TASK, "-cpu", f"host,kvm=off,{ALL}", smp="2")
    assert "Hypervisor detected: Microsoft Hyper-V" in output, output
    assert "hyperv_clocksource_tsc_page" in output or "hyperv_clocksource_msr" in output, output
    # Synthetic timers in direct mode are what ticks.
    ticks = re.search(r"^HVS: +(\d+) +(\d+)", output, re.M)
    assert ticks and int(ticks[1]) > 0 and int(ticks[2]) > 0, output


if __name__ == "__main__":
    run_cases([models_are_qemus, topologies_are_qemus, enlightenments_are_qemus, linux_lives_in_hyperv])

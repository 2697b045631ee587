"""Real gdb on a running stock kernel: threads, registers, memory and steps; the guest goes on afterwards.

Breakpoints are in gdb.kvm.py: QEMU 7.2's emulated SVM neither intercepts the exception of int3 nor loads the address registers of a
guest, so that in a nested machine KVM never hears of one.
"""

import re
import subprocess

from gdb_client import gdb
from guest import PATIENCE_S, Guest
from nandu import run_cases

TASK = """
grep -wE 'linux_banner|jiffies_64' /proc/kallsyms
for cpu in 0 1; do while :; do :; done & taskset -p $((1 << cpu)) $! > /dev/null; done
n=0
while :; do n=$((n + 1)); echo "beat $n"; sleep 0.2; done
"""


def _symbols(guest):
    guest.wait_console("beat 2")
    found = dict(reversed(pair) for pair in re.findall(r"^([0-9a-f]{16}) \w (\w+)$", guest.console(), re.M))
    assert set(found) == {"linux_banner", "jiffies_64"}, found
    return {name: "0x" + address for name, address in found.items()}


def _goes_on(guest):
    beats = guest.console().count("beat ")
    guest.wait_console("beat ", times=beats + 3)
    assert guest.qmp.command("query-status")["return"]["status"] == "running"


def gdb_looks_at_and_steps_a_stock_kernel(nandu):
    socket = nandu.file("gdb")
    with Guest(nandu, "-gdb", f"unix:{socket}", smp="2", task=TASK, append="nokaslr") as guest:
        symbols = _symbols(guest)
        jiffies = f"*(unsigned long *){symbols['jiffies_64']}"
        output = gdb(socket, "info threads", f"x/s {symbols['linux_banner']}", f"p {jiffies}", f"p {jiffies}", "p/x $cr0", "thread 1", "p/x $rip",
                     "stepi", "p/x $rip", "thread 2", "set var $r15 = $r15", f"set var {jiffies} = {jiffies}", "detach", patience_s=PATIENCE_S)
        assert "Thread 1 (vCPU 0)" in output and "Thread 2 (vCPU 1)" in output, output
        assert '"Linux version 6.1' in output, output
        values = dict(re.findall(r"\$(\d) = (\w+)\n", output))
        assert values["1"] == values["2"], "time went on while the guest stood still"
        assert int(values["3"], 16) & 0x80000001 == 0x80000001, values
        assert values["4"] != values["5"], "one instruction is a step"
        _goes_on(guest)
        # Another one ends the VM.
        subprocess.run(["gdb", "-nx", "-batch", "-ex", f"target remote {socket}", "-ex", "kill"], check=True, timeout=PATIENCE_S)
        assert guest.wait() == 0


def a_debugger_that_is_killed_leaves_a_guest_that_runs(nandu):
    socket = nandu.file("gdb")
    with Guest(nandu, "-gdb", f"unix:{socket}", smp="2", task=TASK, append="nokaslr") as guest:
        symbols = _symbols(guest)
        client = subprocess.Popen(["gdb", "-nx", "-batch", "-ex", f"target remote {socket}", "-ex", f"break *{symbols['jiffies_64']}", "-ex", "continue"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        guest.qmp.wait_event("STOP")
        guest.qmp.wait_event("RESUME")
        client.kill()
        client.wait()
        guest.qmp.wait_event("STOP")
        guest.qmp.wait_event("RESUME")
        _goes_on(guest)


if __name__ == "__main__":
    run_cases([gdb_looks_at_and_steps_a_stock_kernel, a_debugger_that_is_killed_leaves_a_guest_that_runs])

"""Real gdb on the first instructions of a stock kernel, which any KVM can run: it waits for gdb, breaks, steps, and goes on."""

import re

from gdb_client import gdb
from guest import NESTED, path
from nandu import Qmp, Skip, run_cases


def gdb_breaks_in_a_stock_kernel(nandu):
    if NESTED:
        raise Skip("QEMU 7.2's emulated SVM neither intercepts the exception of int3 nor loads a guest's address registers: no breakpoint fires")
    monitor, socket = nandu.file("qmp"), nandu.file("gdb")
    process = nandu.start("-M", "q35", "-nodefaults", "-display", "none", "-accel", "kvm", "-smp", "2", "-m", "256M", "-kernel", path("vmlinux-cloud"),
                          "-S", "-gdb", f"unix:{socket}", "-qmp", f"unix:{monitor},server=on,wait=off")
    session = Qmp(monitor)
    instructions = re.findall(r"^(?:=>)?\s*0x([0-9a-f]+):", gdb(socket, "x/6i $rip", "detach"), re.M)
    assert len(instructions) == 6, instructions
    session.wait_event("RESUME")  # whom gdb lets go runs
    assert session.command("stop") == {"return": {}}
    assert session.command("system_reset") == {"return": {}}
    entry, third, fifth = (int(instructions[n], 16) for n in (0, 2, 4))
    output = gdb(socket, "p/x $rip", f"hbreak *{third:#x}", "continue", "p/x $rip", f"tbreak *{fifth:#x}", "stepi", "stepi", "p/x $rip", "p/x $cr0 & 1")
    values = [int(value, 16) for value in re.findall(r"\$\d = (0x[0-9a-f]+)\n", output)]
    assert values == [entry, third, fifth, 1], (output, instructions)
    assert "Breakpoint 1, " in output, output
    session.wait_event("STOP")
    assert session.command("quit") == {"return": {}}
    assert process.wait(timeout=20) == 0


if __name__ == "__main__":
    run_cases([gdb_breaks_in_a_stock_kernel])

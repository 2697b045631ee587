"""RAM as a stock guest and its host see it: NUMA nodes next to QEMU's, huge pages, and pages that two guests share by KSM."""

import contextlib
import os
import re
import subprocess
import time

from guest import PATIENCE_S, QUICK, Guest, path, run_task
from nandu import run_cases

MIB = 1 << 20
NODES = ["-object", "memory-backend-ram,id=m0,size=192M", "-object", "memory-backend-memfd,id=m1,size=320M", "-numa", "node,cpus=0,memdev=m0",
         "-numa", "node,cpus=1-2,memdev=m1", "-numa", "dist,src=0,dst=1,val=17"]
SEE_NODES = """
for node in /sys/devices/system/node/node?; do echo "${node##*/} cpus $(cat $node/cpulist) distance $(cat $node/distance)"; done
grep MemTotal /sys/devices/system/node/node?/meminfo | awk '{ print $2, $4 }'
cd /sys/firmware/acpi/tables
for table in SRAT SLIT; do echo "$table $(od -An -v -tx1 $table | tr -d ' \\n')"; done
"""


def _under_qemu(nandu, script, *words):
    """What the same guest's task prints there."""
    console = nandu.file("qemu-console")
    task = nandu.file("qemu-task")
    with open(task, "wb") as file:
        file.write(("#!/bin/sh\n" + script).encode())
        file.truncate(65536)
    subprocess.run(["qemu-system-x86_64", "-M", "q35", "-accel", "kvm", "-cpu", "host", "-nodefaults", "-display", "none", "-kernel",
                    path("vmlinuz-cloud"), "-initrd", path("initrd-cloud"), "-append", f"console=ttyS0 {QUICK}", "-serial", f"file:{console}",
                    "-drive", f"file={task},format=raw,if=none,id=task,read-only=on", "-device", "virtio-blk-pci,drive=task,serial=task", *words],
                   check=True, stderr=subprocess.DEVNULL, timeout=PATIENCE_S)
    with open(console, encoding="utf-8", errors="replace", newline="") as file:
        return re.search(r"NANDU-TASK-BEGIN\n(.*)NANDU-TASK-EXIT 0\n", file.read().replace("\r", ""), re.S)[1].rstrip("\n")


def nodes_are_qemus(nandu):
    words = ["-m", "512M", "-smp", "3", *NODES]
    ours = run_task(nandu, SEE_NODES, *words).rstrip("\n")
    lines = ours.splitlines()
    assert lines[:2] == ["node0 cpus 0 distance 10 17", "node1 cpus 1-2 distance 17 10"], lines
    sizes = [int(line.split()[1]) >> 10 for line in lines[2:4]]
    print(f"       nodes of {sizes[0]} and {sizes[1]} MiB", flush=True)
    # What the kernel keeps for itself is no node's.
    assert 100 <= sizes[0] <= 192 and 280 <= sizes[1] <= 320, sizes
    theirs = _under_qemu(nandu, SEE_NODES, *words)
    # QEMU's firmware keeps some memory as well, so sizes differ; tables and nodes do not.
    assert lines[:2] + lines[4:] == theirs.splitlines()[:2] + theirs.splitlines()[4:], (ours, theirs)


@contextlib.contextmanager
def _written(file, value):
    with open(file, "r+", encoding="ascii") as handle:
        before = re.sub(r".*\[(.*)\].*", r"\1", handle.read().strip())
        handle.seek(0)
        handle.write(str(value))
    try:
        yield
    finally:
        with open(file, "w", encoding="ascii") as handle:
            handle.write(before)


def huge_pages_hold_a_guest(nandu):
    with _written("/proc/sys/vm/nr_hugepages", 160):
        def free():
            with open("/proc/meminfo", encoding="ascii") as file:
                return int(re.search(r"HugePages_Free:\s+(\d+)", file.read())[1])
        begin = free()
        assert begin >= 160, f"this host gave {begin} huge pages"
        with Guest(nandu, "-object", "memory-backend-memfd,id=m,size=256M,hugetlb=on,hugetlbsize=2M,prealloc=on", "-machine", "memory-backend=m",
                   memory="256M", task="grep MemTotal /proc/meminfo\n") as guest:
            assert begin - free() == 128, (begin, free())
            guest.ends_cleanly()
            assert guest.task()[1] == 0
        assert free() == begin, (begin, free())
        result = nandu.run("-M", "q35,memory-backend=m", "-nodefaults", "-display", "none", "-m", "1G", "-kernel", path("vmlinuz-cloud"),
                           "-object", "memory-backend-memfd,id=m,size=1G,hugetlb=on,hugetlbsize=2M")
        assert result.returncode == 1 and "enough free huge pages" in result.stderr, result.stderr


def _ksm(name):
    with open(f"/sys/kernel/mm/ksm/{name}", encoding="ascii") as file:
        return int(file.read())


def ksm_merges_the_pages_of_two_guests(nandu):
    with contextlib.ExitStack() as stack:
        for file, value in (("sleep_millisecs", 20), ("pages_to_scan", 20000), ("run", 1)):
            stack.enter_context(_written(f"/sys/kernel/mm/ksm/{file}", value))
        guests = [stack.enter_context(Guest(nandu, memory="192M", task="echo up\n", after="stay")) for _ in range(2)]
        for guest in guests:
            guest.wait_console("NANDU-TASK-EXIT 0")
        scans = _ksm("full_scans")
        deadline = time.monotonic() + PATIENCE_S
        while _ksm("full_scans") < scans + 3:
            assert time.monotonic() < deadline, "ksmd did not scan three times"
            time.sleep(0.2)
        shared, sharing = _ksm("pages_shared"), _ksm("pages_sharing")
        print(f"       KSM keeps {shared} pages for {shared + sharing}: {sharing * 4 >> 10} MiB saved", flush=True)
        # A kernel's text and data alone are more than 10 MiB.
        assert sharing * 4096 > 10 * MIB, sharing
        for guest in guests:
            assert guest.qmp.command("quit") == {"return": {}}
            assert guest.wait() == 0


def memory_whose_file_is_cut_off_stops_the_vm(nandu):
    file = f"/dev/shm/nandu-cut-{os.getpid()}"
    words = ["-m", "256M", "-object", f"memory-backend-file,id=m,mem-path={file},size=256M,share=on", "-numa", "node,memdev=m"]
    task = "echo cut-me\nwhile :; do dd if=/dev/zero of=/filler bs=1M count=96 2> /dev/null; rm /filler; done"
    try:
        with Guest(nandu, *words, task=task) as guest:
            guest.wait_console("cut-me")
            os.truncate(file, 16 * MIB)
            guest.qmp.wait_event("STOP")
            status = guest.qmp.command("query-status")["return"]
            assert status == {"running": False, "singlestep": False, "status": "internal-error"}, status
            refused = guest.qmp.command("cont")
            assert refused["error"]["desc"] == "Resetting the Virtual Machine is required", refused
            print("       " + guest.stderr().strip().replace("\n", "\n       "), flush=True)
            assert "Bad address" in guest.stderr() or "the host has lost" in guest.stderr(), guest.stderr()
            assert guest.qmp.command("quit") == {"return": {}}
            assert guest.wait() == 0
    finally:
        if os.path.exists(file):
            os.remove(file)


if __name__ == "__main__":
    run_cases([nodes_are_qemus, huge_pages_hold_a_guest, ksm_merges_the_pages_of_two_guests, memory_whose_file_is_cut_off_stops_the_vm])

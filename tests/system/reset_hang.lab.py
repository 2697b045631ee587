"""A hung read and the guest that resets the disk meanwhile: the reset is over when no completion can touch guest memory any more, and while it
hangs the VM still answers, stops with a reason and ends.

The read hangs in the kernel: its disk is a network block device that is served from here and does not answer. The guest is
legacy_blk_rom.S.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import threading
import time

from guest import HERE, NESTED
from nandu import Qmp, run_cases
from nbd import HeldDisk

PATIENCE_S = 60 if NESTED else 10
PROMPT_S = 0.1 if NESTED else 0.01  # a monitor's answer, in the median: others use this machine too
STOP_DEADLINE_S = 30  # how long a stop waits for requests
END_DEADLINE_S = 15 if NESTED else 10  # a manager that sent SIGTERM kills after 10 s
READ_OFFSET, READ_BYTES = 4096, 32768  # as in legacy_blk_rom.S
CLEAN = 33
STUCK = f"node disk, read at {READ_OFFSET}, "
DISK = bytes(range(1, 256)) * 2 + b"\xff\xff"


def make_rom(nandu):
    rom, parts = nandu.file("rom"), nandu.file("rom.o")
    if not os.path.exists(rom):
        subprocess.run(["as", "--32", "-o", parts, os.path.join(HERE, "legacy_blk_rom.S")], check=True)
        subprocess.run(["ld", "-m", "elf_i386", "-e", "0", "-Ttext=0", "--oformat", "binary", "-o", rom, parts], check=True)
        assert os.path.getsize(rom) == 65536
    return rom


def connect(path):
    """A client of a server that a process is about to make."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(path)
            return client
        except (FileNotFoundError, ConnectionRefusedError):
            client.close()
            assert time.monotonic() < deadline, f"nobody listens on {path}"
            time.sleep(0.01)


class Vm:
    def __init__(self, nandu, name, disk, aio, iothread=False):
        self.name, self.disk = name, disk
        self.files = {key: nandu.file(f"{name}.{key}") for key in ("serial", "debugcon", "qmp", "qmp2", "pid")}
        self.errors = nandu.file(f"{name}.stderr")
        words = ["-M", "q35", "-nodefaults", "-display", "none", "-accel", "kvm", "-cpu", "host", "-m", "16M", "-bios", make_rom(nandu),
                 "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", "-pidfile", self.files["pid"],
                 "-drive", f"file={disk.path},format=raw,if=none,id=drive,node-name=disk,cache=none,aio={aio}"]
        if iothread:
            words += ["-object", "iothread,id=io"]
        words += ["-device", "virtio-blk-pci,drive=drive,id=disk0" + (",iothread=io" if iothread else "")]
        for channel, option in (("serial", "-serial"), ("debugcon", "-debugcon")):
            words += ["-chardev", f"socket,id={channel},path={self.files[channel]},server=on,wait=on", option, f"chardev:{channel}"]
        for monitor in ("qmp", "qmp2"):
            words += ["-qmp", f"unix:{self.files[monitor]},server=on,wait=off"]
        with open(self.errors, "wb") as errors:
            self.process = nandu.start(*words, stdout=errors, stderr=errors)
        self.monitor, self.other_monitor = Qmp(self.files["qmp"], PATIENCE_S), Qmp(self.files["qmp2"], PATIENCE_S)
        # The guest starts when both are connected.
        self.serial, self.debugcon = connect(self.files["serial"]), connect(self.files["debugcon"])
        self.debugcon.settimeout(PATIENCE_S)

    def stderr(self):
        with open(self.errors, encoding="utf-8") as file:
            return file.read()

    def expect(self, letters):
        """The next the guest says is this, and nothing else."""
        said = b""
        while len(said) < len(letters):
            piece = self.debugcon.recv(len(letters) - len(said))
            assert piece, f"{self.name}: the guest ended after {said}: {self.stderr()}"
            said += piece
        assert said.decode() == letters, f"{self.name}: {said}, not {letters}"

    def go(self):
        self.serial.sendall(b".")

    def hang(self):
        """Until the guest waits in its reset for a read that hangs."""
        self.expect("D")
        self.disk.hold()
        self.go()
        self.expect("I")
        reads = self.disk.wait_held(READ_BYTES, PATIENCE_S)
        assert min(reads)[0] == READ_OFFSET and sum(count for _, count in reads) == READ_BYTES, reads
        self.go()
        self.expect("W")

    def vcpu_seconds(self):
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/stat", encoding="ascii") as file:
                name, rest = file.read().split("(", 1)[1].rsplit(") ", 1)
            if name == "CPU 0/KVM":
                fields = rest.split()
                return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        raise AssertionError("there is no vCPU thread")

    def leaves_nothing(self, begin):
        """Within the deadline nothing of it can be seen, whether or not the kernel lets the process go."""
        while left := [path for path in self.files.values() if os.path.exists(path)]:
            assert time.monotonic() < begin + END_DEADLINE_S, f"{self.name}: still there: {left}; {self.stderr()}"
            time.sleep(0.01)


def stays_silent(vms, seconds):
    """No guest says anything for that long, and every monitor answers at once. Returns the times of the answers."""
    times = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        said, _, _ = select.select([vm.debugcon for vm in vms], [], [], 0.05)
        assert not said, f"{[vm.name for vm in vms if vm.debugcon in said]}: {said[0].recv(9)}"
        for vm in vms:
            begin = time.monotonic()
            vm.other_monitor.command("query-status")
            times.append(time.monotonic() - begin)
    return sorted(times)


def go_on_untouched(vms):
    """The reset is over, what was read lies in the buffer, and nothing comes after that."""
    for vm in vms:
        vm.expect("RLF")
    stays_silent(vms, 1)
    for vm in vms:
        vm.go()
        vm.expect("C")
        assert vm.process.wait(timeout=PATIENCE_S) == CLEAN, vm.process.returncode


@contextlib.contextmanager
def hung(nandu, **kinds):
    """VMs by name, each with a disk of its own, all in a reset that waits for a read."""
    with contextlib.ExitStack() as stack:
        vms = []
        for name, options in kinds.items():
            disk = stack.enter_context(HeldDisk(DISK * 128, can_flush=options.pop("can_flush", False)))
            vms.append(Vm(nandu, name, disk, **options))
            vms[-1].hang()
        yield vms


def later(function):
    """Runs it in a thread; calling the answer waits for its result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()), daemon=True)
    thread.start()

    def result():
        thread.join(timeout=STOP_DEADLINE_S + PATIENCE_S)
        assert results, "no answer came"
        return results[0]

    return result


def reset_returns_only_when_the_read_is_over(nandu):
    with hung(nandu, uring={"aio": "io_uring"}, uring_iothread={"aio": "io_uring", "iothread": True}, threads={"aio": "threads"},
              threads_iothread={"aio": "threads", "iothread": True}) as vms:
        used = [vm.vcpu_seconds() for vm in vms]
        times = stays_silent(vms, 3)
        print(f"       {len(times)} answers of the monitor: median {times[len(times) // 2] * 1e3:.2f} ms, longest {times[-1] * 1e3:.2f} ms")
        assert times[len(times) // 2] < PROMPT_S and times[-1] < 1, times
        for vm, before in zip(vms, used):
            assert vm.vcpu_seconds() - before < 0.1, f"{vm.name}: the vCPU does not wait, it runs"
            assert vm.monitor.command("query-status")["return"]["status"] == "running"
        for vm in vms:
            vm.disk.release()
        go_on_untouched(vms)
        for vm in vms:
            assert vm.stderr().count("\n") == 2, vm.stderr()  # it waited for two clients


def stop_and_reset_wait_for_the_read_or_name_it(nandu):
    with hung(nandu, named={"aio": "io_uring"}, in_time={"aio": "threads", "iothread": True}, reset={"aio": "io_uring", "iothread": True}) as vms:
        named, in_time, reset = vms
        begin = time.monotonic()
        stopped = later(lambda: (named.monitor.command("stop"), time.monotonic() - begin))
        stopped_in_time = later(lambda: in_time.monitor.command("stop"))
        assert reset.monitor.command("system_reset") == {"return": {}}
        stays_silent(vms, 1)
        in_time.disk.release()
        assert stopped_in_time() == {"return": {}}
        in_time.monitor.wait_event("STOP")
        stays_silent(vms, 1)  # the reset is over, and the guest that wrote it stands still
        assert in_time.monitor.command("query-status")["return"]["status"] == "paused"
        assert in_time.monitor.command("cont") == {"return": {}}
        go_on_untouched([in_time])
        reset.disk.release()
        event = reset.monitor.wait_event("RESET")
        assert event["data"] == {"guest": False, "reason": "host-qmp-system-reset"}, event
        reset.expect("D")  # from its first instruction
        reset.monitor.command("quit")
        assert reset.process.wait(timeout=PATIENCE_S) == 0

        reply, seconds = stopped()
        assert seconds >= STOP_DEADLINE_S, seconds
        assert reply["error"]["class"] == "GenericError" and f"disk0: {STUCK}" in reply["error"]["desc"], reply
        stays_silent([named], 1)
        assert named.monitor.command("query-status")["return"]["status"] == "running"
        # Asked again, and this time the read ends.
        again = later(lambda: named.monitor.command("stop"))
        stays_silent([named], 1)
        named.disk.release()
        assert again() == {"return": {}}, again()
        stays_silent([named], 1)
        assert named.monitor.command("cont") == {"return": {}}
        go_on_untouched([named])


def a_hung_read_does_not_keep_the_vm_alive(nandu):
    with hung(nandu, quit={"aio": "io_uring"}, stopping={"aio": "io_uring", "iothread": True}, sigterm={"aio": "threads"},
              flushing={"aio": "threads", "iothread": True, "can_flush": True}) as vms:
        quits, stopping, sigterm, flushing = vms
        stop = later(lambda: stopping.monitor.command("stop"))
        stays_silent(vms, 1)
        begin = time.monotonic()
        assert quits.monitor.command("quit") == {"return": {}}
        assert stopping.other_monitor.command("quit") == {"return": {}}
        sigterm.process.send_signal(signal.SIGTERM)
        flushing.process.send_signal(signal.SIGTERM)
        for vm, reason in ((quits, "host-qmp-quit"), (stopping, "host-qmp-quit"), (sigterm, "host-signal"), (flushing, "host-signal")):
            event = vm.other_monitor.wait_event("SHUTDOWN")
            assert event["data"] == {"guest": False, "reason": reason}, event
        assert STUCK in stop()["error"]["desc"], stop()
        for vm in vms:
            vm.leaves_nothing(begin)
            assert STUCK in vm.stderr(), vm.stderr()
        assert flushing.disk.holds_flush() and "not flushed in time" in flushing.stderr(), flushing.stderr()
        # io_uring's requests do not keep a process.
        for vm in (quits, stopping):
            assert vm.process.wait(timeout=END_DEADLINE_S) == 0, vm.process.returncode
        # A thread that waits for a disk cannot die, and keeps its process until the disk answers.
        for vm in (sigterm, flushing):
            vm.disk.release()
            assert vm.process.wait(timeout=PATIENCE_S) == 0, vm.process.returncode


if __name__ == "__main__":
    run_cases([reset_returns_only_when_the_read_is_over, stop_and_reset_wait_for_the_read_or_name_it, a_hung_read_does_not_keep_the_vm_alive])

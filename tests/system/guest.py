"""Stock guests for *.lab.py: Debian's kernels, an initramfs and a root disk (tests/images), run by the program under test.

    with Guest(nandu, root=True, task="nproc", after="stay") as guest:
        guest.wait_console(" login: ")
        guest.power_button()

The console goes to a file that the failure of a case prints the end of. A task (tests/images/README.md) is a shell script; what it
prints and its exit status are `guest.task()`.
"""

import os
import re
import shutil
import subprocess
import sys
import time

from nandu import Qmp

HERE = os.path.dirname(os.path.abspath(__file__))
IMAGES = os.path.join(HERE, "..", "images")
NESTED = os.environ.get("LAB") == "nested"
# An emulated CPU that others use as well; nothing is timed by these.
PATIENCE_S = 400 if NESTED else 60
# What spares an emulated guest seconds and changes nothing that is tested.
QUICK = "quiet mitigations=off random.trust_cpu=on"


def path(name):
    """A file of make-guest: vmlinux-cloud, initrd-generic ..."""
    return subprocess.run([os.path.join(IMAGES, "make-guest"), "path", name], check=True, capture_output=True, text=True).stdout.strip()


def root_disk():
    """A Debian root that a guest may write to; all cases of a session share it."""
    disk = os.environ.get("LAB_ROOT_DISK")
    assert disk, "there is no LAB_ROOT_DISK; run this with LAB_ROOT=1 tests/lab/lab"
    return disk


def root_is_clean():
    """Whether the root was unmounted, so that its journal holds nothing."""
    found = subprocess.run(["dumpe2fs", "-h", root_disk()], check=True, capture_output=True, text=True,
                           env={**os.environ, "PATH": os.environ["PATH"] + ":/sbin:/usr/sbin"}).stdout
    return re.search(r"Filesystem state: +clean\n", found) is not None and "needs_recovery" not in found


NOBODY = 65534


class Guest:
    """A VM with its console in a file and a QMP session; `kernel` None: firmware boots it from what `words` say."""

    def __init__(self, nandu, *words, kernel="cloud", image="vmlinux", root=False, append="", task=None, after=None, smp="1", memory="512M",
                 launcher=(), pass_fds=(), as_nobody=False):
        nandu.guests = getattr(nandu, "guests", 0) + 1
        self.directory = nandu.file(f"guest{nandu.guests}")
        os.mkdir(self.directory)
        if as_nobody:
            # The directories of a test are root's alone; /dev/kvm is for everybody who may use virtual machines.
            os.chmod(nandu.directory, 0o711)
            os.chown(self.directory, NOBODY, NOBODY)
            os.chmod("/dev/kvm", 0o666)
            launcher = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *launcher]
        boot = [path(f"{image}-{kernel}"), path(f"initrd-{kernel}")] if kernel else []
        if as_nobody:  # who does not see into the cache
            boot = [shutil.copy(file, self.directory) for file in boot]
        self.console_path = self.file("console")
        self.begin = time.monotonic()
        command = [*launcher, nandu.path, "-M", "q35", "-accel", "kvm", "-cpu", "host", "-nodefaults", "-display", "none", "-smp", smp, "-m", memory,
                   *(word for pair in zip(("-kernel", "-initrd"), boot) for word in pair),
                   "-serial", f"file:{self.console_path}", "-qmp", f"unix:{self.file('qmp')},server=on,wait=off"]
        line = f"console=ttyS0 {QUICK} {append}"
        if root:
            command += ["-drive", f"file={root_disk()},format=raw,if=virtio"]
            line += " root=LABEL=rootfs ro"
        if task is not None:
            script = "#!/bin/sh\n" + task
            with open(self.file("task"), "wb") as file:
                file.write(script.encode())
                file.truncate((len(script) + 65535) // 65536 * 65536)
            command += ["-drive", f"file={self.file('task')},format=raw,if=none,id=task,read-only=on", "-device", "virtio-blk-pci,drive=task,serial=task"]
        if after:
            line += f" nandu.after={after}"
        self.errors = open(self.file("stderr"), "w+b")
        if kernel:
            command += ["-append", line]
        self.process = subprocess.Popen([*command, *words], cwd=self.directory, stdin=subprocess.DEVNULL, stdout=self.errors,
                                        stderr=subprocess.STDOUT, pass_fds=pass_fds)
        self.qmp = None

    def file(self, name):
        return os.path.join(self.directory, name)

    def __enter__(self):
        try:
            self.qmp = Qmp(self.file("qmp"), PATIENCE_S, self.process)
        except Exception:
            self._explain()
            self._end()
            raise
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self._explain()
        self._end()

    def _end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.errors.close()

    def _explain(self):
        print(f"-- status {self.process.poll()} after {self.seconds():.1f} s; its errors:\n{self.stderr()}-- the end of its console:", file=sys.stderr)
        print("\n".join(self.console().splitlines()[-25:]), file=sys.stderr, flush=True)

    def seconds(self):
        return time.monotonic() - self.begin

    def stderr(self):
        with open(self.file("stderr"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def console(self):
        try:
            with open(self.console_path, encoding="utf-8", errors="replace", newline="") as file:
                return file.read().replace("\r", "")
        except FileNotFoundError:
            return ""

    def wait_console(self, needle, times=1, patience_s=PATIENCE_S):
        deadline = time.monotonic() + patience_s
        while self.console().count(needle) < times:
            assert self.process.poll() is None, f"nandu ended with status {self.process.returncode} before its console showed {needle!r}"
            assert time.monotonic() < deadline, f"the console did not show {needle!r} within {patience_s} s"
            time.sleep(0.05)

    def wait(self, patience_s=PATIENCE_S):
        """The process's exit status."""
        return self.process.wait(timeout=patience_s)

    def task(self):
        """What the task printed and its exit status, once it ended."""
        found = re.search(r"NANDU-TASK-BEGIN\n(.*)\nNANDU-TASK-EXIT (\d+)\n", self.console(), re.S)
        assert found, "the task did not end"
        return found[1], int(found[2])

    def power_button(self):
        """Presses it and follows the guest to a clean end."""
        assert self.qmp.command("system_powerdown") == {"return": {}}
        self.qmp.wait_event("POWERDOWN")
        self.ends_cleanly()

    def ends_cleanly(self):
        event = self.qmp.wait_event("SHUTDOWN")
        assert event["data"] == {"guest": True, "reason": "guest-shutdown"}, event
        assert self.wait() == 0, self.process.returncode
        assert "reboot: Power down" in self.console()


def run_task(nandu, script, *words, **options):
    """Boots, runs the script as a task, follows the guest to its clean end, and gives back the output; a failing script is an error."""
    with Guest(nandu, *words, task=script, **options) as guest:
        guest.ends_cleanly()
        output, status = guest.task()
        assert status == 0, f"the task ended with status {status}"
        return output

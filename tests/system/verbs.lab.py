"""nandu boot-test on stock guests: a whole cloud image comes up and runs a command; a broken boot loader, a kernel panic and an init that
hangs are told apart."""

import json
import os
import re
import subprocess

from guest import NESTED, path, root_disk
from nandu import run_cases

PATIENCE_S = 700 if NESTED else 120


def _boot_test(nandu, *words):
    environment = {**os.environ, "XDG_RUNTIME_DIR": nandu.directory}
    result = nandu.run("boot-test", *words, "--memory", "1G", timeout=PATIENCE_S + 60, env=environment)
    print("       " + result.stdout.replace("\n", "\n       "), flush=True)
    assert result.stderr == "", result
    return result


def _kernel(append, initrd=True):
    words = ["--kernel", path("vmlinux-cloud"), "--append", f"console=ttyS0 quiet mitigations=off {append}"]
    return words + ["--initrd", path("initrd-cloud")] if initrd else words


def a_cloud_image_runs_a_command(nandu):
    timeline, junit = nandu.file("timeline.json"), nandu.file("junit.xml")
    # As published: nothing in it knows of a test. The disk itself is a snapshot of the laboratory's.
    result = _boot_test(nandu, os.environ["LAB_CLOUD_DISK"], "--run", "cloud-init status; systemd-detect-virt; id -un; sudo -n id -un",
                        "--timeout", str(PATIENCE_S), "--timeline", timeline, "--junit", junit)
    assert result.returncode == 0, result
    assert "a login prompt, and the command succeeded" in result.stdout, result
    assert re.search(r"status: done\s+kvm\s+nandu\s+root\s", result.stdout), result
    with open(timeline, encoding="utf-8") as file:
        stages = [stage["stage"] for stage in json.load(file)["stages"]]
    assert stages[:3] == ["firmware", "boot loader", "kernel"] and stages[-1] == "login", stages
    with open(junit, encoding="utf-8") as file:
        assert 'failures="0"' in file.read()


def a_command_that_fails_is_the_reason(nandu):
    result = _boot_test(nandu, root_disk(), *_kernel("root=LABEL=rootfs ro"), "--user", "root", "--password", "nandu", "--run", "echo so far; ls /absent",
                        "--timeout", "300")
    assert result.returncode == 1, result
    assert re.search(r"the command ended with status 2: ls: cannot access '/absent'", result.stdout), result
    assert "so far\n" in result.stdout, result


def a_kernel_panic_is_the_reason(nandu):
    result = _boot_test(nandu, root_disk(), *_kernel("root=/dev/absent", initrd=False), "--timeout", "120")
    assert result.returncode == 1, result
    assert re.search(r"FAILED .*kernel panic: VFS: Unable to mount root fs on", result.stdout), result


def a_hung_init_is_the_reason(nandu):
    limit = "60" if NESTED else "20"
    result = _boot_test(nandu, root_disk(), *_kernel("root=LABEL=rootfs ro init=/bin/cat"), "--timeout", limit)
    assert result.returncode == 1, result
    assert f"no sign of a login prompt within {limit} s, after" in result.stdout, result


def a_broken_boot_loader_is_the_reason(nandu):
    image = nandu.file("broken.qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", os.environ["LAB_CLOUD_DISK"], "-F", "raw", image], check=True)
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 0 0 440", image], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 0 510 2", image], check=True, stdout=subprocess.DEVNULL)
    result = _boot_test(nandu, image, "--timeout", "120")
    assert result.returncode == 1, result
    assert "the firmware found nothing to boot" in result.stdout, result


run_cases([a_command_that_fails_is_the_reason, a_kernel_panic_is_the_reason, a_hung_init_is_the_reason, a_broken_boot_loader_is_the_reason,
           a_cloud_image_runs_a_command])

"""What multiboot.kvm.py expects of a multiboot kernel is what QEMU 7.2 gives it. Needs no KVM: QEMU translates."""

import subprocess

import multiboot_view
from nandu import run_cases

QEMU = "qemu-system-x86_64"


def _says(nandu, kernel, *words):
    log = nandu.file("qemu.log")
    result = subprocess.run([QEMU, *multiboot_view.BOARD, "-accel", "tcg", "-debugcon", f"file:{log}", "-kernel", kernel, *words],
                            cwd=nandu.directory, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == multiboot_view.ENDED, (result.returncode, result.stderr)
    with open(log, encoding="ascii") as file:
        return file.read()


def expectations_are_qemus(nandu):
    initrd = multiboot_view.modules(nandu.directory)
    for form in ("elf", "flat"):
        kernel = multiboot_view.build(nandu.directory, form)
        said = _says(nandu, kernel, "-m", "128", "-append", "hello world", "-initrd", initrd)
        assert said == multiboot_view.expected(f"{kernel} hello world", 128, multiboot_view.MODULES_TEXT).replace(multiboot_view.KVM_PAGES, ""), said


if __name__ == "__main__":
    run_cases([expectations_are_qemus])

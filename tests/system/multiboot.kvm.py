"""On any KVM that runs a guest of a few instructions: -kernel with a multiboot kernel, which says what it was given and ends by itself."""

import os
import subprocess

import multiboot_view
from nandu import run_cases


def _says(nandu, kernel, *words):
    log = nandu.file("nandu.log")
    result = nandu.run(*multiboot_view.BOARD, "-debugcon", f"file:{log}", "-kernel", kernel, *words)
    assert result.returncode == multiboot_view.ENDED, (result.returncode, result.stderr)
    with open(log, encoding="ascii") as file:
        return file.read().replace(multiboot_view.AMD_HOLE, "")


def _expected(*what):
    return multiboot_view.expected(*what).replace(multiboot_view.AMD_HOLE, "")


def kernels_get_what_qemu_gives_them(nandu):
    initrd = multiboot_view.modules(nandu.directory)
    for form in ("elf", "flat"):
        kernel = multiboot_view.build(nandu.directory, form)
        said = _says(nandu, kernel, "-m", "128", "-append", "hello world", "-initrd", initrd)
        assert said == _expected(f"{kernel} hello world", 128, multiboot_view.MODULES_TEXT), said
        said = _says(nandu, kernel, "-m", "64")
        assert said == _expected(f"{kernel} ", 64), said


def a_reset_loads_the_kernel_again(nandu):
    kernel = multiboot_view.build(nandu.directory, "elf")
    said = _says(nandu, kernel, "-m", "64", "-append", "once more!")
    assert said == 2 * _expected(f"{kernel} once more!", 64), said


def wrong_kernels_and_modules_are_a_sentence(nandu):
    source, parts, kernel = nandu.file("wide.S"), nandu.file("wide.o"), nandu.file("wide")
    with open(source, "w", encoding="ascii") as file:
        file.write(".text\n.globl start\nstart: hlt\n.align 4\n.long 0x1badb002, 3, -0x1badb005\n")
    subprocess.run(["as", "--64", "-o", parts, source], check=True)
    subprocess.run(["ld", "-n", "-e", "start", "-Ttext=0x100000", "-o", kernel, parts], check=True)
    good = multiboot_view.build(nandu.directory, "flat")
    with open(nandu.file("big"), "wb") as file:
        file.truncate(64 << 20)
    before = set(os.listdir(nandu.directory))
    for words, needle in (([kernel], "no 32-bit x86 ELF file"), ([good, "-initrd", "absent with words"], "absent: No such file"),
                          ([good, "-m", "64", "-initrd", "big"], "more with -m")):
        result = nandu.refused(*multiboot_view.BOARD, "-pidfile", "pid", "-kernel", *words)
        assert result.returncode == 1 and needle in result.stderr and len(result.stderr.splitlines()) == 1, (result.returncode, result.stderr)
    assert set(os.listdir(nandu.directory)) == before


if __name__ == "__main__":
    run_cases([kernels_get_what_qemu_gives_them, a_reset_loads_the_kernel_again, wrong_kernels_and_modules_are_a_sentence])

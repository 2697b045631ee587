"""Cases of board.lab.py about chips that a few instructions show: the same ROM under nandu and under QEMU 7.2."""

import json
import os
import shutil

from guest import PATIENCE_S
from nandu import Program, Qmp, assemble_rom

MODE, ARGUMENT = 0xFF00, 0xFF01  # as in chips_rom.S
BACKDOOR, PANIC = 0, 1
ENDED = 33
UUID = "00112233-4455-6677-8899-aabbccddeeff"


def _rom(nandu, mode, argument=0):
    return assemble_rom(nandu.file(f"chips.{mode}.{argument}.rom"), "chips_rom.S", {MODE: mode, ARGUMENT: argument})


def _words(rom, name):
    return ["-M", "q35", "-accel", "kvm", "-cpu", "host", "-nodefaults", "-display", "none", "-m", "16M", "-uuid", UUID, "-bios", rom,
            "-debugcon", f"file:{name}.debugcon", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]


def _both(nandu):
    qemu = shutil.which("qemu-system-x86_64")
    assert qemu, "there is no qemu-system-x86_64 to compare with (Debian's qemu-system-x86)"
    directory = nandu.file("qemu")
    os.mkdir(directory)
    return {"nandu": nandu, "qemu": Program(qemu, directory)}


def the_backdoor_is_qemus(nandu):
    rom, found = _rom(nandu, BACKDOOR), {}
    for name, program in _both(nandu).items():
        run = program.run(*_words(rom, name), timeout=PATIENCE_S)
        assert run.returncode == ENDED, (name, run)
        with open(program.file(name + ".debugcon"), encoding="ascii") as file:
            found[name] = file.read().splitlines()
    assert len(found["qemu"]) == 31 and found["qemu"][0].startswith("0000000a 00000006 564d5868 "), found["qemu"]
    assert found["nandu"] == found["qemu"], "\n".join(f"{here} here, {there} under QEMU" for here, there in zip(found["nandu"], found["qemu"]))


def without_the_backdoor_its_port_is_empty(nandu):
    run = nandu.run(*_words(_rom(nandu, BACKDOOR), "off"), "-M", "vmport=off", timeout=PATIENCE_S)
    assert run.returncode == ENDED, run
    with open(nandu.file("off.debugcon"), encoding="ascii") as file:
        assert file.readline().split() == ["0000000a", "ffffffff", "00000000", "0000000a", "11115658", "22222222", "33333333"]


def _told(program, rom, name, last):
    """What a monitor is told until the event `last`, from the guest's start, and what the VM does then."""
    socket = program.file(name + ".qmp")
    process = program.start(*_words(rom, name), "-S", "-qmp", f"unix:{socket},server=on,wait=off", "-device", "pvpanic")
    qmp = Qmp(socket, PATIENCE_S)
    qmp.command("cont")
    event = qmp.wait_event(last)
    told = [*(one["event"] for one in qmp.events), event["event"], json.dumps(event["data"]), qmp.command("query-status")["return"]["status"]]
    process.kill()
    process.wait()
    return told


def a_crash_kernel_runs_on(nandu):
    rom = _rom(nandu, PANIC, 2)
    here, there = (_told(program, rom, name, "GUEST_CRASHLOADED") for name, program in _both(nandu).items())
    assert here == there, f"{here} here, {there} under QEMU"


CASES = [the_backdoor_is_qemus, without_the_backdoor_its_port_is_empty, a_crash_kernel_runs_on]

"""What a guest's panic and its watchdog do, for each -action, as QEMU 7.2 does it; a generation ID; and a disk whose doorbells and interrupts
have no file descriptors. Guests of a few instructions: chips_rom.S, legacy_blk_rom.S."""

import os
import resource
import shutil
import socket
import time

from nandu import Program, Qmp, assemble_rom, make_rom, run_cases

BOARD = ["-M", "q35", "-nodefaults", "-display", "none", "-accel", "kvm", "-m", "16M"]
MODE, ARGUMENT = 0xFF00, 0xFF01  # as in chips_rom.S
PANIC, WATCHDOG = 1, 2
PANICKED, CRASH_LOADED = 1, 2
GOT_NMI = 35
PATIENCE_S = 60
GUID = "324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87"


def _life(program, rom, until, *words):
    """Events from the guest's start up to `until` or the process's end; then the run state or the exit status."""
    path = program.file("qmp")
    process = program.start(*BOARD, "-bios", rom, "-S", "-qmp", f"unix:{path},server=on,wait=off",
                            "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", *words)
    qmp = Qmp(path, PATIENCE_S)
    told = []
    try:
        qmp.command("cont")
        if until:
            qmp.events.append(qmp.wait_event(until))
            told.append(qmp.command("query-status")["return"]["status"])
        else:
            qmp.wait_event("the end")
    except (EOFError, ConnectionResetError):
        told.append(process.wait(timeout=PATIENCE_S))
    events = [(event["event"], event.get("data")) for event in qmp.events if event["event"] != "RESUME"]
    process.kill()
    process.wait()
    os.unlink(path) if os.path.exists(path) else None
    return events + told


def _as_qemu(nandu, rom, until, *words):
    """Here and under QEMU; what it did."""
    qemu = shutil.which("qemu-system-x86_64")
    assert qemu, "there is no qemu-system-x86_64 to compare with (Debian's qemu-system-x86)"
    directory = nandu.file("qemu")
    os.makedirs(directory, exist_ok=True)
    other = Program(qemu, directory)
    here = _life(nandu, rom, until, *words)
    try:
        there = _life(other, rom, until, *words)
    finally:
        other.kill_all()
    assert here == there, f"{words}: {here} here, {there} under QEMU"
    return here


def _rom(nandu, mode, argument=0):
    return assemble_rom(nandu.file(f"chips.{mode}.{argument}.rom"), "chips_rom.S", {MODE: mode, ARGUMENT: argument})


def a_panic_is_told_and_acted_on(nandu):
    rom = _rom(nandu, PANIC, PANICKED)
    for action, until in (("pause", "STOP"), ("shutdown", ""), ("exit-failure", ""), ("none", "GUEST_PANICKED")):
        told = _as_qemu(nandu, rom, until, "-device", "pvpanic", "-action", f"panic={action}")
        assert told[0][0] == "GUEST_PANICKED" and told[-1] == {"pause": "guest-panicked", "shutdown": 0, "exit-failure": 1, "none": "running"}[action], told


def a_crash_kernel_is_told_of(nandu):
    told = _as_qemu(nandu, _rom(nandu, PANIC, CRASH_LOADED), "GUEST_CRASHLOADED", "-device", "pvpanic")
    assert told == [("GUEST_CRASHLOADED", {"action": "run"}), "running"], told


def the_watchdog_bites(nandu):
    rom = _rom(nandu, WATCHDOG)
    for action, until, end in (("reset", "RESET", "running"), ("shutdown", "POWERDOWN", "running"), ("poweroff", "", 0), ("pause", "STOP", "watchdog"),
                               ("debug", "WATCHDOG", "running"), ("none", "WATCHDOG", "running"), ("inject-nmi", "", GOT_NMI)):
        told = _as_qemu(nandu, rom, until, "-global", "ICH9-LPC.noreboot=off", "-action", f"watchdog={action}")
        assert told[0] == ("WATCHDOG", {"action": action}) and told[-1] == end, (action, told)


def actions_change_at_run_time(nandu):
    rom, path = _rom(nandu, WATCHDOG), nandu.file("qmp")
    process = nandu.start(*BOARD, "-bios", rom, "-S", "-qmp", f"unix:{path},server=on,wait=off", "-global", "ICH9-LPC.noreboot=off")
    qmp = Qmp(path, PATIENCE_S)
    assert qmp.command("set-action", watchdog="none", panic="pause") == {"return": {}}
    assert qmp.command("watchdog-set-action", action="pause") == {"return": {}}
    qmp.command("cont")
    assert qmp.wait_event("WATCHDOG")["data"] == {"action": "pause"}
    qmp.wait_event("STOP")
    assert qmp.command("query-status")["return"]["status"] == "watchdog"
    qmp.command("quit")
    assert process.wait(timeout=PATIENCE_S) == 0


def the_nmi_button_reaches_the_guest(nandu):
    rom, path = _rom(nandu, WATCHDOG), nandu.file("qmp")
    process = nandu.start(*BOARD, "-bios", rom, "-qmp", f"unix:{path},server=on,wait=off", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04")
    qmp = Qmp(path, PATIENCE_S)
    deadline = time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < deadline:  # until the guest has opened LINT1
            assert qmp.command("inject-nmi") == {"return": {}}
    except (EOFError, ConnectionResetError, BrokenPipeError):
        pass
    assert process.wait(timeout=PATIENCE_S) == GOT_NMI


def the_generation_id_is_told(nandu):
    rom, path = make_rom(nandu.file("rom"), b"\xeb\xfe"), nandu.file("qmp")
    for words, answer in ((["-device", f"vmgenid,guid={GUID}"], {"return": {"guid": GUID}}),
                          ([], {"error": {"class": "GenericError", "desc": "VM Generation ID device not found"}})):
        process = nandu.start(*BOARD, "-bios", rom, "-qmp", f"unix:{path},server=on,wait=off", *words)
        qmp = Qmp(path, PATIENCE_S)
        assert qmp.command("query-vm-generation-id") == answer
        qmp.command("quit")
        assert process.wait(timeout=PATIENCE_S) == 0


def _read_disk(nandu, name, files):
    """A guest that reads its disk by a queue of many, in a process that may open so many files; what it said, and stderr."""
    rom = assemble_rom(nandu.file("blk.rom"), "legacy_blk_rom.S")
    disk, serial, said, errors = (nandu.file(f"{name}.{part}") for part in ("raw", "serial", "said", "stderr"))
    with open(disk, "wb") as file:
        file.write((bytes(range(1, 256)) * 2 + b"\xff\xff") * 2048)
    with open(errors, "wb") as stderr:
        process = nandu.start(*BOARD, "-bios", rom, "-drive", f"file={disk},format=raw,if=none,id=drive", "-device", "virtio-blk-pci,drive=drive,num-queues=16",
                              "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", "-chardev", f"socket,id=s,path={serial},server=on,wait=on",
                              "-serial", "chardev:s", "-debugcon", f"file:{said}", "-qmp", f"unix:{nandu.file(name + '.qmp')},server=on,wait=off",
                              stdout=stderr, stderr=stderr,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)))
    qmp = Qmp(nandu.file(name + ".qmp"), PATIENCE_S)
    assert qmp.command("query-block")["return"][0]["io-status"] == "ok"
    with socket.socket(socket.AF_UNIX) as guest:
        guest.connect(serial)
        guest.sendall(b"....")  # each wait of the guest's
        status = process.wait(timeout=PATIENCE_S)
    with open(said, "rb") as file, open(errors, encoding="utf-8") as stderr:
        return status, file.read(), stderr.read()


def a_disk_works_without_files_for_its_queues(nandu):
    many = _read_disk(nandu, "many", 1024)
    few = _read_disk(nandu, "few", 48)
    assert many[:2] == few[:2] == (33, b"DIWRLFC"), (many, few)
    assert "slower" not in many[2] and "16 of 16 queues are kicked by exits" in few[2] and "interrupts of some devices are signalled" in few[2], (many, few)


if __name__ == "__main__":
    run_cases([a_panic_is_told_and_acted_on, a_crash_kernel_is_told_of, the_watchdog_bites, actions_change_at_run_time,
               the_nmi_button_reaches_the_guest, the_generation_id_is_told, a_disk_works_without_files_for_its_queues])

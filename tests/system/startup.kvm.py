"""On any KVM that runs a guest of a few instructions: a ROM's first instruction, the process's end, and what bad input gets."""

import os
import signal
import subprocess
import time

from nandu import Program, Qmp, make_rom, run_cases

QEMU = "qemu-system-x86_64"
OUT_F4 = b"\xe6\xf4"  # out 0xf4, al: the first instruction after reset, al = 0
BOARD = ["-M", "q35", "-nodefaults", "-display", "none", "-accel", "kvm"]


def debug_exit_status_is_qemus(nandu):
    rom = make_rom(nandu.file("rom"), OUT_F4)
    words = [*BOARD, "-bios", rom, "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]
    qemu = subprocess.run([QEMU, *words], capture_output=True, timeout=60, check=False)
    ours = nandu.run(*words)
    assert ours.returncode == qemu.returncode == 1, (ours.returncode, qemu.returncode, ours.stderr)


def debug_exit_carries_the_value(nandu):
    rom = make_rom(nandu.file("rom"), b"\xb0\x2a\xe6\xf4")  # mov al, 42
    result = nandu.run(*BOARD, "-bios", rom, "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04")
    assert result.returncode == 85, (result.returncode, result.stderr)


def debugcon_writes_a_file(nandu):
    # mov al, 'N'; out 0xe9, al; out 0xf4, al
    rom = make_rom(nandu.file("rom"), b"\xb0\x4e\xe6\xe9\xe6\xf4")
    log = nandu.file("log")
    nandu.run(*BOARD, "-bios", rom, "-debugcon", f"file:{log}", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04")
    with open(log, "rb") as file:
        assert file.read() == b"N"


def descriptors_handed_in_are_files(nandu):
    """A pipe that takes what the guest prints, as libvirt hands in its log daemon's; query-fdsets and remove-fd answer as QEMU's."""
    rom = make_rom(nandu.file("rom"), b"\xb0\x4e\xe6\xe9\xeb\xfc")  # mov al, 'N'; out 0xe9, al; jmp to the out
    told = []
    for program in (nandu.path, QEMU):
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        qmp = nandu.file(f"{os.path.basename(program)}.qmp")
        process = Program(program, nandu.directory).start(
            *BOARD, "-bios", rom, "-qmp", f"unix:{qmp},server=on,wait=off", "-add-fd", f"set=2,fd={writer},opaque=serial0-log", "-add-fd", f"fd={writer},set=7",
            "-chardev", "file,id=log,path=/dev/fdset/2,append=on", "-device", "isa-debugcon,chardev=log", pass_fds=[writer])
        nandu.processes.append(process)
        os.close(writer)
        assert os.read(reader, 1) == b"N"
        session = Qmp(qmp, 60, process)
        sets = session.command("query-fdsets")["return"]
        answers = [session.command("remove-fd", **{"fdset-id": 7}), session.command("remove-fd", **{"fdset-id": 7}),
                   session.command("remove-fd", **{"fdset-id": 2, "fd": 12345})]
        left = session.command("query-fdsets")["return"]
        for a_set in (*sets, *left):
            for member in a_set["fds"]:
                assert member.pop("fd") > 2
        told.append((sorted(sets, key=str), answers, left))
        session.command("quit")
        process.wait(timeout=60)
        os.close(reader)
    assert told[0] == told[1], told
    assert told[0][2] == [{"fdset-id": 2, "fds": [{"opaque": "serial0-log"}]}], told
    _refused(nandu, [*BOARD, "-add-fd", "fd=1,set=0"], "standard input, output and errors")
    _refused(nandu, [*BOARD, "-add-fd", "fd=99,set=0"], "there is no such descriptor")
    _refused(nandu, [*BOARD, "-add-fd", "fd=99"], "set= is missing")
    _refused(nandu, [*BOARD, "-drive", "file=/dev/fdset/9,format=raw,if=virtio"], "there is no descriptor set 9")


def triple_fault_with_no_reboot_ends_with_zero(nandu):
    # lidt [cs:0xfffc]-like: an empty IDT and int3 in real mode does not fault; 0xcf9 = 6 is the hard reset
    rom = make_rom(nandu.file("rom"), b"\xb0\x06\xba\xf9\x0c\xee\xf4")
    result = nandu.run(*BOARD, "-bios", rom, "-no-reboot")
    assert result.returncode == 0, (result.returncode, result.stderr)


def sigterm_ends_it_and_leaves_nothing(nandu):
    rom = make_rom(nandu.file("rom"), b"\xeb\xfe")  # jmp $
    qmp, pid = nandu.file("qmp"), nandu.file("pid")
    process = nandu.start(*BOARD, "-bios", rom, "-qmp", f"unix:{qmp},server=on,wait=off", "-pidfile", pid)
    session = Qmp(qmp)
    assert session.command("query-status")["return"]["status"] == "running"
    with open(pid, encoding="ascii") as file:
        assert int(file.read()) == process.pid
    process.send_signal(signal.SIGTERM)
    event = session.wait_event("SHUTDOWN")
    assert event["data"] == {"guest": False, "reason": "host-signal"}, event
    assert process.wait(timeout=10) == 0
    assert not os.path.exists(qmp) and not os.path.exists(pid)


def qmp_steers_the_vm(nandu):
    rom = make_rom(nandu.file("rom"), b"\xeb\xfe")
    qmp = nandu.file("qmp")
    process = nandu.start(*BOARD, "-bios", rom, "-S", "-name", "tiny", "-qmp", f"unix:{qmp},server=on,wait=off")
    session = Qmp(qmp)
    assert session.command("query-status")["return"] == {"status": "prelaunch", "singlestep": False, "running": False}
    assert session.command("cont") == {"return": {}}
    session.wait_event("RESUME")
    assert session.command("query-name")["return"] == {"name": "tiny"}
    assert session.command("stop") == {"return": {}}
    session.wait_event("STOP")
    assert session.command("query-status")["return"]["status"] == "paused"
    assert session.command("system_reset") == {"return": {}}
    session.wait_event("RESET")
    assert session.command("nonsense")["error"]["class"] == "CommandNotFound"
    assert session.command("quit") == {"return": {}}
    assert process.wait(timeout=10) == 0
    assert not os.path.exists(qmp)


def _thread_names(pid):
    names = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm", encoding="ascii") as file:
            names.append(file.read().strip())
    return [name for name in names if not name.startswith("kvm-")]  # the kernel's own helpers


def threads_are_named_as_asked(nandu):
    rom = make_rom(nandu.file("rom"), b"\xeb\xfe")
    for switch, cpus in (("on", ["CPU 0/KVM", "CPU 1/KVM"]), ("off", [])):
        qmp = nandu.file("qmp-" + switch)
        process = nandu.start(*BOARD, "-bios", rom, "-smp", "2", "-name", f"vm,process=little-vm,debug-threads={switch}",
                              "-qmp", f"unix:{qmp},server=on,wait=off")
        session = Qmp(qmp)
        # The monitor may answer before a new thread has had its first moment.
        deadline = time.monotonic() + 10
        while sorted(name for name in _thread_names(process.pid) if name.startswith("CPU")) != cpus:
            assert time.monotonic() < deadline, _thread_names(process.pid)
            time.sleep(0.01)
        names = _thread_names(process.pid)
        assert len(names) >= 3 and names.count("little-vm") == (1 if cpus else len(names)), names
        session.command("quit")
        assert process.wait(timeout=10) == 0


def daemonize_returns_when_the_vm_is_ready(nandu):
    rom = make_rom(nandu.file("rom"), b"\xeb\xfe")
    qmp, pid = nandu.file("qmp"), nandu.file("pid")
    parent = nandu.run(*BOARD, "-bios", rom, "-daemonize", "-pidfile", pid, "-qmp", f"unix:{qmp},server=on,wait=off")
    assert parent.returncode == 0, parent.stderr
    assert os.path.exists(qmp)
    with open(pid, encoding="ascii") as file:
        child = int(file.read())
    session = Qmp(qmp)
    assert session.command("quit") == {"return": {}}
    for _ in range(500):
        if not os.path.exists(f"/proc/{child}"):
            break
        time.sleep(0.01)
    assert not os.path.exists(pid) and not os.path.exists(qmp)


def daemonize_reports_failure(nandu):
    result = nandu.run(*BOARD, "-bios", "absent", "-daemonize", "-pidfile", "pid")
    assert result.returncode == 1 and "absent" in result.stderr, (result.returncode, result.stderr)
    assert not os.path.exists(nandu.file("pid"))


def more_vcpus_than_eight_bits_name(nandu):
    rom, qmp = make_rom(nandu.file("rom"), b"\xeb\xfe"), nandu.file("qmp")
    process = nandu.start("-M", "q35,kernel-irqchip=split", *BOARD[2:], "-bios", rom, "-smp", "260", "-qmp", f"unix:{qmp},server=on,wait=off")
    session = Qmp(qmp, timeout=120)
    cpus = session.command("query-cpus-fast")["return"]
    assert [cpu["cpu-index"] for cpu in cpus] == list(range(260)) and len({cpu["thread-id"] for cpu in cpus}) == 260, cpus
    assert session.command("query-status")["return"]["status"] == "running"
    session.command("stop")
    assert session.command("query-status")["return"]["status"] == "paused"
    session.command("quit")
    assert process.wait(timeout=120) == 0


def _refused(nandu, words, *needles):
    before = set(os.listdir(nandu.directory))
    result = nandu.refused(*words)
    lines = result.stderr.strip().splitlines()
    assert result.returncode == 1, (result.returncode, result.stderr)
    assert len(lines) == 1, result.stderr
    for needle in needles:
        assert needle in lines[0], (needle, lines[0])
    assert set(os.listdir(nandu.directory)) == before, "something was left behind"


def bad_input_is_one_sentence(nandu):
    rom = make_rom(nandu.file("rom"), b"\xeb\xfe")
    disk = nandu.file("disk.raw")
    with open(disk, "wb") as file:
        file.truncate(1 << 20)
    text = nandu.file("text")
    with open(text, "w", encoding="ascii") as file:
        file.write("no kernel")
    base = [*BOARD, "-bios", rom, "-pidfile", "pid", "-qmp", "unix:qmp,server=on,wait=off"]
    _refused(nandu, [*base, "-drive", "file=absent.raw,if=virtio,format=raw"], "absent.raw", "No such file")
    _refused(nandu, [*base, "-drive", f"file={nandu.directory},if=virtio,format=raw"], nandu.directory)
    _refused(nandu, [*base, "-device", "virtio-blk-pci,drive=nothing"], "nothing")
    _refused(nandu, [*base, "-drive", f"file={disk},if=none,format=raw,id=d", "-device", "virtio-blk-pci,drive=d,searial=x"], "searial", "serial")
    _refused(nandu, [*base, "-device", "virtio-blkpci"], "virtio-blkpci", "virtio-blk-pci")
    _refused(nandu, [*base, "-m", "0"], "memory")
    _refused(nandu, [*base, "-m", "4096T"], "memory")
    _refused(nandu, [*base, "-cpu", "nonsense"], "nonsense")
    _refused(nandu, [*base, "-cpu", "qemu64,+nonsense"], "nonsense")
    _refused(nandu, [*base, "-smp", "100000"], "100000")
    _refused(nandu, [*base, "-netdev", "tap,id=n,ifname=waytoolonganame0,script=no"], "waytoolonganame0")
    _refused(nandu, [*base, "-netdev", "tap,id=n,fd=99"], "99")
    _refused(nandu, [*base, "-serial", "unix:/nonexistent/dir/socket,server=on,wait=off"], "/nonexistent/dir/socket")
    _refused(nandu, [*BOARD, "-kernel", text, "-pidfile", "pid"], "text")
    _refused(nandu, [*BOARD, "-kernel", "absent", "-pidfile", "pid"], "absent", "No such file")
    _refused(nandu, [*BOARD, "-bios", text, "-pidfile", "pid"], "text")


def locked_image_is_refused_both_ways(nandu):
    disk = nandu.file("disk.raw")
    with open(disk, "wb") as file:
        file.truncate(1 << 20)
    rom = make_rom(nandu.file("rom"), b"\xeb\xfe")
    qmp = nandu.file("qmp")
    holder = nandu.start(*BOARD, "-bios", rom, "-drive", f"file={disk},if=virtio,format=raw", "-qmp", f"unix:{qmp},server=on,wait=off")
    session = Qmp(qmp)
    _refused(nandu, [*BOARD, "-bios", rom, "-drive", f"file={disk},if=virtio,format=raw"], "lock", "disk.raw")
    image = subprocess.run(["qemu-img", "resize", "-f", "raw", disk, "2M"], capture_output=True, text=True, timeout=20, check=False)
    assert image.returncode != 0 and "lock" in image.stderr, image.stderr
    session.command("quit")
    holder.wait(timeout=10)
    subprocess.run(["qemu-img", "resize", "-f", "raw", disk, "2M"], check=True, timeout=20)


def no_kvm_is_one_sentence(nandu):
    rom = make_rom(nandu.file("rom"), b"\xeb\xfe")
    hidden = subprocess.run(["unshare", "-m", "sh", "-c", f"mount --bind /dev/null /dev/kvm && exec {nandu.path} {' '.join(BOARD)} -bios {rom}"],
                            capture_output=True, text=True, timeout=20, check=False)
    assert hidden.returncode == 1 and "/dev/kvm" in hidden.stderr and len(hidden.stderr.strip().splitlines()) == 1, hidden.stderr


def running_vm_maps_libc_alone(nandu):
    rom = make_rom(nandu.file("rom"), b"\xeb\xfe")
    qmp = nandu.file("qmp")
    process = nandu.start("-M", "q35", "-nodefaults", "-display", "none", "-bios", rom, "-qmp", f"unix:{qmp},server=on,wait=off")
    Qmp(qmp)
    with open(f"/proc/{process.pid}/maps", encoding="ascii") as file:
        mapped = {os.path.basename(line.split()[5]) for line in file if len(line.split()) > 5 and line.split()[5].startswith("/")}
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=10)
    libraries = {name for name in mapped if ".so" in name}
    assert libraries <= {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"}, libraries


if __name__ == "__main__":
    run_cases([debug_exit_status_is_qemus, debug_exit_carries_the_value, debugcon_writes_a_file, descriptors_handed_in_are_files, triple_fault_with_no_reboot_ends_with_zero,
               sigterm_ends_it_and_leaves_nothing, qmp_steers_the_vm, threads_are_named_as_asked, more_vcpus_than_eight_bits_name, daemonize_returns_when_the_vm_is_ready,
               daemonize_reports_failure, bad_input_is_one_sentence, locked_image_is_refused_both_ways, no_kvm_is_one_sentence, running_vm_maps_libc_alone])

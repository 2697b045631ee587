"""RAM in its forms, through the program on any KVM: backends, nodes, preallocation, and what is refused."""

import os
import re

from nandu import Qmp, make_rom, run_cases

MIB = 1 << 20
BOARD = ["-M", "q35", "-nodefaults", "-display", "none", "-accel", "kvm"]
SPIN = b"\xeb\xfe"  # jmp $


def _run(nandu, *words):
    rom = make_rom(nandu.file("rom"), SPIN)
    socket = nandu.file("qmp")
    process = nandu.start(*BOARD, "-bios", rom, "-qmp", f"unix:{socket},server=on,wait=off", *words)
    session = Qmp(socket)
    assert session.command("query-status")["return"]["status"] == "running"
    return process, session


def _end(process, session):
    assert session.command("quit") == {"return": {}}
    assert process.wait(timeout=20) == 0


def _resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1]) << 10


def a_quarter_of_a_terabyte_is_sparse(nandu):
    process, session = _run(nandu, "-cpu", "max,phys-bits=42", "-m", "256G")
    print(f"       256 GiB of RAM, {_resident(process.pid) / MIB:.1f} MiB resident", flush=True)
    assert _resident(process.pid) < 64 * MIB
    _end(process, session)


def most_of_a_terabyte_is_sparse(nandu):
    # The room for 64-bit BARs then ends where AMD's HyperTransport range begins.
    process, session = _run(nandu, "-cpu", "max,host-phys-bits=off,phys-bits=42", "-m", "978G")
    print(f"       978 GiB of RAM, {_resident(process.pid) / MIB:.1f} MiB resident", flush=True)
    assert _resident(process.pid) < 64 * MIB
    _end(process, session)


def a_terabyte_is_sparse_or_too_much_for_the_host(nandu):
    with open("/proc/cpuinfo", encoding="ascii") as file:
        bits = int(re.search(r"^address sizes\s*: (\d+) bits physical", file.read(), re.M)[1])
    words = ["-cpu", "max,host-phys-bits=off,phys-bits=46", "-m", "1T"]
    if bits <= 40:
        _refused(nandu, words, f"this host's processor has {bits} bits of physical addresses")
        return
    process, session = _run(nandu, *words)
    assert _resident(process.pid) < 64 * MIB
    _end(process, session)


def preallocation_takes_the_memory_now(nandu):
    process, session = _run(nandu, "-m", "128M", "-smp", "2", "-machine", "memory-backend=m",
                            "-object", "memory-backend-ram,id=m,size=128M,prealloc=on,prealloc-threads=2")
    assert _resident(process.pid) >= 128 * MIB
    _end(process, session)


def a_memfd_and_a_file_hold_the_memory(nandu):
    file = nandu.file("ram")
    process, session = _run(nandu, "-m", "96M", "-object", "memory-backend-memfd,id=a,size=64M", "-object",
                            f"memory-backend-file,id=b,size=32M,mem-path={file},share=on", "-numa", "node,memdev=a", "-numa", "node,memdev=b")
    with open(f"/proc/{process.pid}/maps", encoding="utf-8") as maps:
        text = maps.read()
    assert "memfd:a" in text and file in text, text
    assert os.path.getsize(file) == 32 * MIB
    _end(process, session)


def _refused(nandu, words, needle):
    rom = make_rom(nandu.file("rom"), SPIN)
    result = nandu.refused(*BOARD, "-bios", rom, *words)
    lines = result.stderr.strip().splitlines()
    assert result.returncode == 1 and len(lines) == 1 and needle in lines[0], (result.returncode, result.stderr)


def what_cannot_be_had_is_one_sentence(nandu):
    _refused(nandu, ["-machine", "memory-backend=m", "-object", "memory-backend-memfd,id=m,size=128M,hugetlb=on,hugetlbsize=2M"], "huge pages")
    _refused(nandu, ["-mem-path", "/nonexistent/ram"], "/nonexistent/ram")
    _refused(nandu, ["-machine", "memory-backend=m", "-object", "memory-backend-ram,id=m,size=128M,host-nodes=77,policy=bind"], "host nodes")
    _refused(nandu, ["-machine", "memory-backend=m", "-object", "memory-backend-ram,id=m,size=64M"], "make both the same")
    _refused(nandu, ["-cpu", "qemu64,phys-bits=40", "-m", "1T"], "40 bits of physical addresses")
    _refused(nandu, ["-numa", "node,memdev=m"], "no memory backend 'm'")


if __name__ == "__main__":
    run_cases([a_quarter_of_a_terabyte_is_sparse, most_of_a_terabyte_is_sparse,
               a_terabyte_is_sparse_or_too_much_for_the_host, preallocation_takes_the_memory_now, a_memfd_and_a_file_hold_the_memory,
               what_cannot_be_had_is_one_sentence])

"""The screen: the same guest programs the same modes under nandu and under QEMU 7.2, and both show the same dots."""

import os
import shutil
import socket
import subprocess
import zlib

from nandu import Program, Qmp, run_cases

HERE = os.path.dirname(os.path.abspath(__file__))
# In the order of vga_rom.S, with the size of each picture.
PICTURES = {"text_9": (720, 400), "text_8": (640, 400), "planar": (640, 480), "linear": (640, 400), "mode_x": (640, 400), "cga": (640, 400),
            "low_planar": (640, 400), "vbe_8": (640, 480), "vbe_16": (640, 480), "vbe_24": (640, 480), "vbe_32": (640, 480),
            "vbe_virtual": (640, 480)}
PATIENCE_S = 120


def _rom(nandu):
    parts, path = nandu.file("vga.o"), nandu.file("vga.rom")
    subprocess.run(["as", "--32", "-o", parts, os.path.join(HERE, "vga_rom.S")], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", parts, path], check=True)
    return path


class Screen:
    """A guest that draws what it is told to, over its serial port."""

    def __init__(self, program, rom, *words):
        self.program = program
        monitor, serial = program.file("qmp"), program.file("serial")
        self.process = program.start("-M", "q35", "-nodefaults", "-display", "none", "-m", "16M", "-bios", rom, "-qmp",
                                     f"unix:{monitor},server=on,wait=off", "-serial", f"unix:{serial},server=on,wait=off", *words)
        self.qmp = Qmp(monitor, timeout=PATIENCE_S)
        self.serial = socket.socket(socket.AF_UNIX)
        self.serial.settimeout(PATIENCE_S)
        self.serial.connect(serial)

    def draw(self, number):
        self.serial.sendall(bytes([number]))
        assert self.serial.recv(1) == bytes([number])

    def dump(self, name, **arguments):
        path = self.program.file(name)
        reply = self.qmp.command("screendump", filename=path, **arguments)
        assert reply == {"return": {}}, reply
        with open(path, "rb") as file:
            return file.read()

    def end(self):
        assert self.qmp.command("quit") == {"return": {}}
        assert self.process.wait(timeout=PATIENCE_S) == 0


def _ppm(data):
    kind, size, most, dots = data.split(b"\n", 3)
    width, height = map(int, size.split())
    assert kind == b"P6" and most == b"255" and len(dots) == 3 * width * height, data[:20]
    return width, height, dots


def _png(data):
    """The dots of a PNG without filters."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed, size = 8, b"", None
    while at < len(data):
        length, kind = int.from_bytes(data[at:at + 4], "big"), data[at + 4:at + 8]
        body = data[at + 8:at + 8 + length]
        assert zlib.crc32(kind + body) == int.from_bytes(data[at + 8 + length:at + 12 + length], "big"), kind
        size = (int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")) if kind == b"IHDR" else size
        packed += body if kind == b"IDAT" else b""
        at += 12 + length
    rows = zlib.decompress(packed)
    width, height = size
    step = 3 * width + 1
    assert len(rows) == step * height and set(rows[::step]) == {0}
    return width, height, b"".join(rows[row * step + 1:(row + 1) * step] for row in range(height))


def every_mode_is_qemus(nandu):
    qemu = shutil.which("qemu-system-x86_64")
    assert qemu, "there is no qemu-system-x86_64 to compare with (Debian's qemu-system-x86)"
    directory = nandu.file("qemu")
    os.mkdir(directory)
    rom = _rom(nandu)
    here = Screen(nandu, rom, "-accel", "kvm", "-vga", "std")
    there = Screen(Program(qemu, directory), rom, "-accel", "tcg", "-vga", "std")
    for number, (name, size) in enumerate(PICTURES.items()):
        shown = []
        for screen in here, there:
            screen.draw(number)
            shown.append(_ppm(screen.dump(name + ".ppm")))
        ours, theirs = shown
        assert ours[:2] == theirs[:2] == size, (name, ours[:2], theirs[:2])
        wrong = [at for at in range(0, len(ours[2]), 3) if ours[2][at:at + 3] != theirs[2][at:at + 3]]
        first = wrong[0] // 3 if wrong else 0
        assert not wrong, f"{name}: {len(wrong)} dots differ, the first at {first % size[0]},{first // size[0]}: " \
                          f"{ours[2][wrong[0]:wrong[0] + 3].hex()} here, {theirs[2][wrong[0]:wrong[0] + 3].hex()} under QEMU"
        assert len({ours[2][at:at + 3] for at in range(0, len(ours[2]), 3)}) >= 4, name
    here.end()
    there.end()


def a_picture_is_written_as_asked(nandu):
    screen = Screen(nandu, _rom(nandu), "-accel", "kvm", "-device", "VGA,id=card,vgamem_mb=32")
    assert _ppm(screen.dump("before.ppm"))[:2] == (640, 480)
    screen.draw(list(PICTURES).index("linear"))
    picture = _ppm(screen.dump("a.ppm", device="card"))
    assert _png(screen.dump("a.png", format="png")) == picture
    text = screen.qmp.command("human-monitor-command", **{"command-line": f"screendump {nandu.file('b.png')} -f png card"})
    assert text == {"return": ""}, text
    with open(nandu.file("b.png"), "rb") as file:
        assert _png(file.read()) == picture
    for arguments, error, needle in (({"filename": "x", "device": "absent"}, "DeviceNotFound", "absent"),
                                     ({"filename": "/nonexistent/x"}, "GenericError", "/nonexistent/x"),
                                     ({"filename": "/dev/full"}, "GenericError", "No space left"),
                                     ({"filename": "x", "device": "card", "head": 1}, "GenericError", "head 1")):
        reply = screen.qmp.command("screendump", **arguments)["error"]
        assert reply["class"] == error and needle in reply["desc"], reply
    screen.end()


def without_a_card_there_is_no_picture(nandu):
    rom = _rom(nandu)
    screen = Screen(nandu, rom, "-accel", "kvm")
    reply = screen.qmp.command("screendump", filename="x")["error"]
    assert reply["desc"] == "there is no screen; start the VM with -vga std or -device VGA", reply
    screen.end()
    result = nandu.run("-M", "q35", "-nodefaults", "-bios", rom, "-device", "VGA", "-device", "VGA")
    assert result.returncode == 1 and "use secondary-vga for another screen" in result.stderr, result
    result = nandu.run("-M", "q35", "-nodefaults", "-bios", rom, "-device", "VGA,romfile=absent.bin")
    assert result.returncode == 1 and "absent.bin" in result.stderr, result


def a_paused_guest_and_a_reset_one_have_a_screen(nandu):
    screen = Screen(nandu, _rom(nandu), "-accel", "kvm", "-vga", "std", "-global", "VGA.vgamem_mb=8")
    screen.draw(list(PICTURES).index("vbe_32"))
    assert screen.qmp.command("stop") == {"return": {}}
    picture = _ppm(screen.dump("paused.ppm"))
    assert picture[:2] == (640, 480)
    assert screen.qmp.command("cont") == {"return": {}}
    assert _ppm(screen.dump("running.ppm")) == picture
    screen.qmp.command("system_reset")
    screen.qmp.wait_event("RESET")
    width, height, dots = _ppm(screen.dump("reset.ppm"))
    assert (width, height) == (640, 480) and set(dots) == {0}
    screen.draw(list(PICTURES).index("vbe_32"))
    assert _ppm(screen.dump("again.ppm")) == picture
    screen.end()


if __name__ == "__main__":
    run_cases([every_mode_is_qemus, a_picture_is_written_as_asked, without_a_card_there_is_no_picture, a_paused_guest_and_a_reset_one_have_a_screen])

"""A stock Debian kernel on a screen, without firmware: its text console from the first line on, then the bochs DRM driver's framebuffer."""

import os
import shutil
import socket
import tarfile

from guest import PATIENCE_S, Guest, path
from nandu import run_cases

FONTS = ("/usr/share/seabios/vgabios-stdvga.bin", "/usr/share/qemu/vgabios-stdvga.bin")
FACE = bytes.fromhex("00007e81a58181bd9981817e00000000")  # code 1
TEXT, DRM = "text-mode-of-the-card", "framebuffer-of-the-driver"
# The guest says on its second serial port when there is something to see, and waits for a line.
TASK = f"""
set -e
systemctl stop getty@tty1.service
stty -F /dev/ttyS1 raw -echo
exec 3<> /dev/ttyS1
show() {{ printf '\\033[2J\\033[H\\033[?25l%s\\nlogin: ' $1 > /dev/tty1; echo shown >&3; read answer <&3; }}
cat /sys/class/vtconsole/vtcon0/name
show {TEXT}
mkdir /run/modules
tar -x -f /dev/disk/by-id/virtio-modules -C /run/modules
for module in $(cat /run/modules/order); do insmod /run/modules/$module; done
timeout 60 sh -c 'until grep -q bochs /proc/fb; do sleep 0.1; done'
cat /proc/fb
cat /sys/class/drm/card0-Virtual-1/modes | head -n 1
show {DRM}
"""


def _modules(name, archive):
    """Packs a module of the generic kernel and all it depends on, with the order they are loaded in."""
    root = path("modules-generic")
    release = os.listdir(root)[0]
    with open(os.path.join(root, release, "modules.dep"), encoding="ascii") as file:
        wanted = next(line for line in file if f"/{name}.ko" in line.split(":")[0])
    target, needs = wanted.split(":")
    order = [*reversed(needs.split()), target]
    with open(archive + ".order", "w", encoding="ascii") as file:
        file.write("".join(os.path.basename(module) + "\n" for module in order))
    with tarfile.open(archive, "w") as tar:
        tar.add(archive + ".order", "order")
        for module in order:
            tar.add(os.path.join(root, release, module), os.path.basename(module))
    with open(archive, "r+b") as file:
        file.truncate((os.path.getsize(archive) + 65535) // 65536 * 65536)


def _font():
    for name in FONTS:
        if os.path.exists(name):
            with open(name, "rb") as file:
                rom = file.read()
            start = rom.index(bytes(16) + FACE)
            return {rom[start + 16 * code:start + 16 * code + 16]: chr(code) for code in range(32, 127)}
    raise AssertionError("there is no VGA BIOS (Debian's seabios)")


def _picture(guest, name):
    file_name = guest.file(name)
    assert guest.qmp.command("screendump", filename=file_name) == {"return": {}}
    png = guest.file(name.replace(".ppm", ".png"))
    assert guest.qmp.command("screendump", filename=png, format="png") == {"return": {}}
    if keep := os.environ.get("NANDU_KEEP_PICTURES"):  # for people to look at
        shutil.copy(png, keep)
    with open(file_name, "rb") as file:
        _, size, _, dots = file.read().split(b"\n", 3)
    width, height = map(int, size.split())
    return width, height, dots


def _text(picture, dots):
    """The lines of a picture of characters, `dots` wide and 16 high, on a black ground."""
    width, height, data = picture
    font = _font()
    lines = []
    for top in range(0, height - 15, 16):
        line = ""
        for left in range(0, width - dots + 1, dots):
            shape = bytes(sum(0x80 >> bit for bit in range(8) if any(data[3 * ((top + y) * width + left + bit):][:3])) for y in range(16))
            line += font.get(shape, "?" if any(shape) else " ")
        lines.append(line.rstrip())
    return lines


def a_kernel_without_firmware_has_a_console_on_the_screen(nandu):
    archive, port = nandu.file("modules.tar"), nandu.file("port")
    _modules("bochs", archive)
    with Guest(nandu, "-vga", "std", "-serial", f"unix:{port},server=on,wait=off", "-drive", f"file={archive},format=raw,if=none,id=m,read-only=on",
               "-device", "virtio-blk-pci,drive=m,serial=modules", kernel="generic", image="vmlinuz", root=True,
               append="modprobe.blacklist=bochs",  # which udev would load too soon
               task=TASK) as guest:
        with socket.socket(socket.AF_UNIX) as serial:
            serial.settimeout(PATIENCE_S)
            serial.connect(port)
            lines = serial.makefile("rwb")
            for text, size, dots in ((TEXT, (720, 400), 9), (DRM, (1280, 800), 8)):
                assert lines.readline() == b"shown\n"
                picture = _picture(guest, text + ".ppm")
                assert picture[:2] == size, picture[:2]
                shown = _text(picture, dots)
                assert shown[0] == text and shown[1] == "login:", shown[:5]
                lines.write(b"seen\n")
                lines.flush()
        guest.ends_cleanly()
        output, status = guest.task()
        assert status == 0, output
        console, framebuffer, mode = output.split("\n")[:3]
        assert "VGA+" in console and "bochs-drm" in framebuffer and mode == "1280x800", output


if __name__ == "__main__":
    run_cases([a_kernel_without_firmware_has_a_console_on_the_screen])

"""A guest with one of each device a board may have: its command line, what it does with them, and the host's ends of them."""

import contextlib
import hashlib
import os
import socket
import subprocess
import threading
import time

from board_report import COLLECT, REPORT_BYTES, Report
from guest import PATIENCE_S, Guest

MIB = 1 << 20
CHANNEL_BYTES = 256 << 10
RANDOM_BYTES = 16 << 10
DISKS = ("packed", "intx", "behind")
CHANNELS = ("hvc0", "org.nandu.root", "org.nandu.behind")
RNGS = ("virtio_rng.0", "virtio_rng.1")
# Of no network that a test machine is likely to be on (RFC 2544's).
HOSTS, GUESTS, MACS = ("198.18.72.1", "198.19.72.1"), ("198.18.72.2", "198.19.72.2"), ("52:54:00:12:34:56", "52:54:00:12:34:57")
# [0, 4 MiB) of a disk is the host's to fill, [4, 8) the guest's.
TASK = rf"""
set -e
mkdir -p /run/report
echo +2 > /sys/class/rtc/rtc0/wakealarm
udevadm settle
for name in {' '.join(DISKS)}; do
  disk=/dev/disk/by-id/virtio-$name
  dd if=$disk bs=1M count=4 iflag=direct status=none | sha256sum > /run/report/read.$name
  dd if=/dev/urandom bs=1M count=4 status=none | tee /run/written | sha256sum > /run/report/written.$name
  dd if=/run/written of=$disk bs=256k seek=16 oflag=direct conv=fsync status=none
done
for rng in {' '.join(RNGS)}; do
  echo $rng > /sys/class/misc/hw_random/rng_current
  dd if=/dev/hwrng of=/run/report/random.$rng bs=512 count={RANDOM_BYTES // 512} iflag=fullblock status=none
done
dd if=/dev/urandom of=/run/channel bs=1k count={CHANNEL_BYTES >> 10} status=none
for name in {' '.join(CHANNELS)}; do
  case $name in hvc0) exec 3<> /dev/hvc0; stty raw -echo <&3 ;; *) exec 3<> /dev/virtio-ports/$name ;; esac
  echo "clock $(date +%s) $(cat /sys/class/rtc/rtc0/since_epoch)" >&3
  cat /run/channel >&3 &
  head -c {CHANNEL_BYTES} <&3 | sha256sum > /run/report/received.$name
  wait
  exec 3<&-
done
sha256sum < /run/channel > /run/report/sent
for port in /sys/class/net/*; do
  case $(cat $port/address) in {MACS[0]}) address={GUESTS[0]} ;; {MACS[1]}) address={GUESTS[1]} ;; *) continue ;; esac
  ip address add $address/24 dev ${{port##*/}}
  ip link set ${{port##*/}} up
done
for host in {' '.join(HOSTS)}; do ping -q -c 3 -s 1400 -w 60 $host; done > /run/report/ping
stty -F /dev/ttyS1 raw
head -c 1500 /run/channel | base64 -w 0 | tee /run/report/serial > /dev/ttyS1
for byte in n a n d u; do printf $byte | dd of=/dev/port bs=1 seek=$((0xe9)) conv=notrunc status=none; done
# Until the alarm's interrupt came and the mouse was probed.
timeout 60 sh -c 'while [ -n "$(cat /sys/class/rtc/rtc0/wakealarm)" ]; do sleep 0.1; done'
timeout 60 sh -c 'until grep -q Mouse /proc/bus/input/devices; do sleep 0.1; done'
""" + COLLECT


@contextlib.contextmanager
def taps():
    def ip(*words):
        subprocess.run(["ip", *words], check=True, env={**os.environ, "PATH": os.environ["PATH"] + ":/sbin:/usr/sbin"})
    with contextlib.ExitStack() as undo:
        names = []
        for number, host in enumerate(HOSTS):
            names.append(f"nboard{os.getpid()}{'ab'[number]}"[-15:])
            ip("tuntap", "add", "dev", names[-1], "mode", "tap", "vnet_hdr")
            undo.callback(ip, "tuntap", "del", "dev", names[-1], "mode", "tap")
            ip("address", "add", host + "/24", "dev", names[-1])
            ip("link", "set", names[-1], "up")
        yield names


class Channel(threading.Thread):
    """The host's end of a port: takes a line and notes when, then sends and receives at once. The guest speaks first."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.error = path, None
        self.sent, self.received, self.line, self.at = os.urandom(CHANNEL_BYTES), None, None, None
        self.start()

    def run(self):
        try:
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(PATIENCE_S)
                peer.connect(self.path)
                stream = peer.makefile("rb")
                self.line = stream.readline().decode()
                self.at = time.time()
                sender = threading.Thread(target=peer.sendall, args=(self.sent,), daemon=True)
                sender.start()
                self.received = stream.read(CHANNEL_BYTES)
                sender.join()
        except OSError as error:
            self.error = error


def _words(directory, names):
    words = []
    for name in (*DISKS, "report"):
        with open(os.path.join(directory, name + ".raw"), "wb") as disk:
            disk.write(os.urandom(8 * MIB) if name in DISKS else bytes(REPORT_BYTES))
        words += ["-drive", f"file={directory}/{name}.raw,format=raw,if=none,id={name}"]
    for number, name in enumerate(names):
        words += ["-netdev", f"tap,id=net{number},ifname={name},script=no,downscript=no"]
    for number, name in enumerate(CHANNELS):
        words += ["-chardev", f"socket,id=channel{number},path={directory}/{name}.sock,server=on,wait=off"]
    # Two ports that cannot be plugged and two with QEMU's default.
    for number, more in enumerate((",multifunction=on,hotplug=off", ",hotplug=off", "", "")):
        words += ["-device", f"pcie-root-port,id=port{number},chassis={number},addr=0x10.{number}{more}"]
    for device in (f"virtio-net-pci,netdev=net0,mac={MACS[0]}",
                   "virtio-rng-pci",
                   "virtio-serial-pci,id=serial0",
                   "virtconsole,chardev=channel0,bus=serial0.0",
                   "virtserialport,chardev=channel1,bus=serial0.0,name=org.nandu.root",
                   "virtio-blk-pci,drive=packed,serial=packed,packed=on",
                   "virtio-blk-pci,drive=intx,serial=intx,vectors=0",
                   "virtio-blk-pci,drive=report,serial=report",
                   "virtio-blk-pci,drive=behind,serial=behind,bus=port0",
                   f"virtio-net-pci,netdev=net1,mac={MACS[1]},bus=port1",
                   "virtio-serial-pci,id=serial1,bus=port2",
                   "virtserialport,chardev=channel2,bus=serial1.0,name=org.nandu.behind",
                   "virtio-rng-pci,bus=port3",
                   "VGA,addr=0xf",
                   "pvpanic"):
        words += ["-device", device]
    return [*words, "-serial", f"file:{directory}/ttyS1", "-debugcon", f"file:{directory}/debugcon", "-uuid", "00112233-4455-6677-8899-aabbccddeeff"]


def boot(program):
    """Boots it, follows it to its end, and gives back its report: every byte that went through a device arrived."""
    directory = program.directory
    with taps() as names:
        words = _words(directory, names)
        with Guest(program, *words, root=True, kernel="generic", smp="2", task=TASK) as guest:
            channels = {name: Channel(f"{directory}/{name}.sock") for name in CHANNELS}
            guest.ends_cleanly()
            print(f"       {os.path.basename(program.path)}: {guest.seconds():.1f} s", flush=True)
            assert guest.task() == ("", 0), guest.task()
            errors = guest.stderr()
    report = Report(os.path.join(directory, "report.raw"))
    if out := os.environ.get("LAB_OUT"):
        with open(f"{out}/{os.path.basename(program.path)}.report.tar", "wb") as kept, open(f"{directory}/report.raw", "rb") as disk:
            kept.write(disk.read())
    _check_data(directory, report, channels)
    return report, errors


def _check_data(directory, report, channels):
    def digest_is(name, content):
        assert report.text(name).split()[0] == hashlib.sha256(content).hexdigest(), name
    for name in DISKS:
        with open(os.path.join(directory, name + ".raw"), "rb") as disk:
            digest_is("read." + name, disk.read(4 * MIB))
            digest_is("written." + name, disk.read(4 * MIB))
    for name, channel in channels.items():
        channel.join(PATIENCE_S)
        assert channel.error is None and channel.received is not None, (name, channel.error)
        digest_is("sent", channel.received)
        digest_is("received." + name, channel.sent)
        # The guest's clock and its RTC; a loaded host may take a while to notice that the line came.
        guest_clock, rtc = map(int, channel.line.split()[1:])
        assert abs(guest_clock - channel.at) < 5 and abs(rtc - channel.at) < 5, (channel.line, channel.at)
    with open(os.path.join(directory, "ttyS1"), "rb") as file:
        assert file.read() == report.files["serial"]
    with open(os.path.join(directory, "debugcon"), "rb") as file:
        assert file.read() == b"nandu"
    assert report.text("ping").count("3 received") == 2, report.text("ping")

"""virtio-net on taps under a stock Debian: by name with vhost, and by descriptors served here, two queue pairs each; ping, iperf3 while the VM is
stopped and goes on, and 100 MB with checksums each way. Beside it the guest agent answers through its port."""

import contextlib
import fcntl
import hashlib
import os
import json
import re
import signal
import socket
import struct
import subprocess
import threading
import time

from guest import Guest, PATIENCE_S
from nandu import run_cases

TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_MULTI_QUEUE = 0x400454CA, 0x0002, 0x1000, 0x4000, 0x0100
# Of no network that a test machine is likely to be on (RFC 2544's).
HOST1, GUEST1, HOST2, GUEST2 = "198.18.71.1", "198.18.71.2", "198.19.71.1", "198.19.71.2"
BULK = 100 * 1000 * 1000
TASK = f"""
set -e
udevadm trigger --action=add --subsystem-match=virtio
udevadm settle
udevadm trigger --action=add --subsystem-match=virtio-ports
udevadm settle
systemctl start qemu-guest-agent
for port in /sys/class/net/*; do
  case $(cat $port/address) in 52:54:00:00:00:01) first=${{port##*/}} ;; 52:54:00:00:00:02) second=${{port##*/}} ;; esac
done
ip address add {GUEST1}/24 dev $first
ip address add {GUEST2}/24 dev $second
ip link set $first up
ip link set $second up
echo "queues $(ls -d /sys/class/net/$first/queues/rx-* | wc -l) $(ls -d /sys/class/net/$second/queues/rx-* | wc -l)"
ethtool -L $first combined 2
ethtool -L $second combined 2
ethtool -l $first | tail -n 2
ethtool -k $first | grep -E '^(tx-checksumming|rx-checksumming|tcp-segmentation-offload|generic-receive-offload|scatter-gather):'
ping -q -c 3 -w 60 {HOST1} | grep received
ping -q -c 3 -w 60 {HOST2} | grep received
for host in {HOST1} {HOST2}; do for reverse in '' -R; do iperf3 -c $host -t 2 $reverse -f m | grep receiver; done; done
for run in 1 2; do
  if [ $run = 1 ]; then host={HOST1}; else host={HOST2}; fi
  socat -u TCP:$host:700$run OPEN:/dev/shm/bulk,creat,trunc
  echo "from $run: $(sha256sum < /dev/shm/bulk | cut -c1-64)"
  socat -u OPEN:/dev/shm/bulk TCP:$host:710$run
  if [ $run = 1 ]; then truncate -s {BULK // 10} /dev/shm/bulk; fi
done
ip -s link show $first
ip -s link show $second
while [ ! -e /run/agent-was-asked ]; do sleep 0.1; done
"""


@contextlib.contextmanager
def _taps():
    """Two taps with addresses and two queues: one that stays for others to open, and one held by descriptors, which it gives back."""
    def ip(*words):
        subprocess.run(["ip", *words], check=True, env={**os.environ, "PATH": os.environ["PATH"] + ":/sbin:/usr/sbin"})
    name = f"nandu{os.getpid()}"[:13]
    fds = [os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC) for _ in range(2)]
    ip("tuntap", "add", "dev", name + "a", "mode", "tap", "multi_queue", "vnet_hdr")
    try:
        for fd in fds:
            fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", (name + "b").encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE))
        for device, address in ((name + "a", HOST1), (name + "b", HOST2)):
            ip("address", "add", address + "/24", "dev", device)
            ip("link", "set", device, "up")
        yield name + "a", fds
    finally:
        for fd in fds:
            os.close(fd)
        ip("tuntap", "del", "dev", name + "a", "mode", "tap", "multi_queue")


class Transfer(threading.Thread):
    """Sends bytes to whoever connects to one port, then takes what comes to the other one; `received` is its SHA-256."""

    def __init__(self, address, number, data):
        super().__init__(daemon=True)
        self.data, self.received, self.bytes = data, None, 0
        self.out = socket.create_server((address, 7000 + number))
        self.back = socket.create_server((address, 7100 + number))
        for server in (self.out, self.back):
            server.settimeout(PATIENCE_S)
        self.start()

    def run(self):
        with self.out, self.out.accept()[0] as peer:
            peer.sendall(self.data)
        digest = hashlib.sha256()
        with self.back, self.back.accept()[0] as peer:
            while block := peer.recv(1 << 20):
                digest.update(block)
                self.bytes += len(block)
        self.received = digest.hexdigest()


def _agent_answers(path):
    """guest-ping through the port, and a file made in the guest, by the agent."""
    deadline = time.monotonic() + PATIENCE_S
    with socket.socket(socket.AF_UNIX) as port:
        port.connect(path)
        port.settimeout(PATIENCE_S)
        stream = port.makefile("rwb")

        def ask(command, **arguments):
            stream.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
            stream.flush()
            return json.loads(stream.readline())
        assert ask("guest-ping") == {"return": {}}
        opened = ask("guest-file-open", path="/run/agent-was-asked", mode="w")
        assert isinstance(opened.get("return"), int), opened
        assert ask("guest-file-close", handle=opened["return"]) == {"return": {}}
    assert time.monotonic() < deadline


def _vhost_threads(pid):
    """The kernel's threads that serve the rings of a process."""
    names = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{process}/comm", encoding="utf-8") as file:
            names.append(file.read().strip())
    return names.count(f"vhost-{pid}")


def taps_carry_every_byte_both_ways(nandu):
    seed = os.urandom(1 << 20)
    # Every 64 KiB differ, so that a lost, doubled or swapped piece shows.
    data = b"".join(struct.pack("<Q", n) + seed[n % 16 * 65536 : n % 16 * 65536 + 65528] for n in range(BULK // 65536 + 1))[:BULK]
    with _taps() as (name, fds):
        server = subprocess.Popen(["iperf3", "-s"], stdout=subprocess.DEVNULL)
        try:
            transfers = [Transfer(HOST1, 1, data), Transfer(HOST2, 2, data[: BULK // 10])]
            words = ["-netdev", f"tap,id=n1,ifname={name},script=no,downscript=no,queues=2,vhost=on",
                     "-device", "virtio-net-pci,netdev=n1,mac=52:54:00:00:00:01,mq=on,vectors=6",
                     "-netdev", f"tap,id=n2,fds={fds[0]}:{fds[1]}", "-device", "virtio-net-pci,netdev=n2,mac=52:54:00:00:00:02,mq=on,vectors=6",
                     "-chardev", f"socket,id=agent,path={nandu.file('agent')},server=on,wait=off", "-device", "virtio-serial-pci",
                     "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]
            with Guest(nandu, *words, root=True, smp="2", memory="768M", task=TASK, pass_fds=fds) as guest:
                guest.wait_console("3 received", times=2)
                assert _vhost_threads(guest.process.pid) == 2
                for measured in range(4):  # in the middle of what comes next
                    for command in ("stop", "cont"):
                        assert guest.qmp.command(command) == {"return": {}}
                    guest.wait_console(" receiver\n", times=measured + 1)
                _agent_answers(nandu.file("agent"))
                guest.ends_cleanly()
                output, status = guest.task()
                print("       " + output.replace("\n", "\n       "), flush=True)
                assert status == 0, status
                assert guest.stderr() == "", guest.stderr()
        finally:
            server.send_signal(signal.SIGKILL)
            server.wait()
    assert "queues 2 2\n" in output, output
    assert re.search(r"Combined:\s+2\n", output), output
    for offload in ("tx-checksumming", "tcp-segmentation-offload", "scatter-gather"):
        assert f"{offload}: on\n" in output, output
    assert output.count("3 received") == 2, output
    speeds = [float(speed) for speed in re.findall(r"([\d.]+) Mbits/sec .*receiver", output)]
    assert len(speeds) == 4 and min(speeds) > 1, output
    for number, transfer in enumerate(transfers, 1):
        transfer.join(60)
        wanted = hashlib.sha256(transfer.data).hexdigest()
        assert f"from {number}: {wanted}\n" in output, (number, wanted, output)
        assert (transfer.received, transfer.bytes) == (wanted, len(transfer.data)), (number, transfer.bytes)


if __name__ == "__main__":
    run_cases([taps_carry_every_byte_both_ways])

"""Networks without root under a stock guest: a user network (DHCP, DNS, IPv6, forwarded ports both ways, 100 MB with checksums each way, a
restricted one), a stream to QEMU's user network, and two guests joined by a stream. nandu runs as nobody."""

import hashlib
import os
import socket
import subprocess
import threading
import time
import urllib.request

from guest import Guest, NOBODY, PATIENCE_S
from nandu import run_cases

BULK = 100 * 1000 * 1000
DOWN_PORT, UP_PORT, HTTP_PORT, LATER_PORT = 7001, 7101, 8080, 8081
MACS = ["52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00:00:00:03"]

# A lease is applied and shown; what DHCP says of DNS stands in /tmp/dns.
PRELUDE = """
cat > /tmp/lease <<'END'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add "$ip/$mask" dev "$interface"
echo "lease $interface $ip router $router dns $dns domain $domain"
END
chmod +x /tmp/lease
named() { for port in /sys/class/net/*; do [ "$(cat $port/address)" = "$1" ] && echo "${port##*/}"; done; }
lease() { ip link set "$1" up; udhcpc -i "$1" -s /tmp/lease -q -n -t 20; }
"""
TASK = PRELUDE + f"""
user=$(named {MACS[0]}) restricted=$(named {MACS[1]}) stream=$(named {MACS[2]})
for port in $user $restricted $stream; do lease $port; done
ping -c 3 -w 60 10.0.2.2 | grep 'packets received'
ping -c 3 -w 60 10.7.0.2 | grep 'packets received'
ip route get 10.9.0.2
nc -w 5 10.9.0.2 {DOWN_PORT} </dev/null | wc -c
echo over | nc 10.0.2.100 80
nc 10.0.2.2 {DOWN_PORT} </dev/null >/tmp/bulk
echo "down: $(sha256sum </tmp/bulk)"
nc 10.0.2.2 {UP_PORT} </tmp/bulk
mkdir /www
head -c 1000000 /tmp/bulk >/www/piece
nc 10.7.0.2 {DOWN_PORT + 1} </dev/null >/tmp/bulk
echo "stream down: $(sha256sum </tmp/bulk)"
for try in 1 2 3 4 5 6 7 8 9 10; do
  ip -6 address show dev $user | grep -q 'fec0:.*scope site' && break
  sleep 1
done
ip -6 address show dev $user
httpd -p 80 -h /www
echo "httpd is up"
while ! grep -q done /tmp/said 2>/dev/null; do nc -l -p 90 >/tmp/said; done
"""


class Transfer(threading.Thread):
    """Sends bytes to whoever connects to one port; takes what comes to another one, if there is one."""

    def __init__(self, data, down, up=None):
        super().__init__(daemon=True)
        self.data, self.received = data, None
        self.servers = [socket.create_server(("127.0.0.1", port)) for port in (down, up) if port]
        for server in self.servers:
            server.settimeout(PATIENCE_S)
        self.start()

    def run(self):
        with self.servers[0], self.servers[0].accept()[0] as peer:
            peer.sendall(self.data)
        if len(self.servers) > 1:
            digest = hashlib.sha256()
            with self.servers[1], self.servers[1].accept()[0] as peer:
                while block := peer.recv(1 << 20):
                    digest.update(block)
            self.received = digest.hexdigest()


def _fetch(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/piece", timeout=PATIENCE_S) as answer:
        return answer.read()


def _human(guest, line):
    return guest.qmp.command("human-monitor-command", **{"command-line": line})["return"]


def a_user_network_needs_no_root(nandu):
    seed = os.urandom(1 << 20)
    data = b"".join(n.to_bytes(8, "little") + seed[n % 16 * 65536 : n % 16 * 65536 + 65528] for n in range(BULK // 65536 + 1))[:BULK]
    small = data[: BULK // 10]
    transfer, small_transfer = Transfer(data, DOWN_PORT, UP_PORT), Transfer(small, DOWN_PORT + 1)
    sock = nandu.file("stream")
    # QEMU's own user network is the peer of our stream: no guest of its own is needed to compare the framing.
    peer = subprocess.Popen(["qemu-system-x86_64", "-machine", "none", "-nodefaults", "-display", "none", "-netdev",
                             f"stream,id=s,server=on,addr.type=unix,addr.path={sock}", "-netdev", "user,id=u,net=10.7.0.0/24",
                             "-netdev", "hubport,id=h1,hubid=0,netdev=s", "-netdev", "hubport,id=h2,hubid=0,netdev=u"],
                            stdin=subprocess.DEVNULL)
    nandu.processes.append(peer)
    deadline = time.monotonic() + PATIENCE_S
    while not os.path.exists(sock):
        assert peer.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.chmod(sock, 0o777)
    words = ["-netdev", f"user,id=n1,hostfwd=tcp:127.0.0.1:{HTTP_PORT}-:80,hostfwd=tcp:127.0.0.1:9090-:90,guestfwd=tcp:10.0.2.100:80-cmd:cat",
             "-netdev", "user,id=n2,restrict=on,net=10.9.0.0/24,ipv6=off",
             "-netdev", f"stream,id=n3,addr.type=unix,addr.path={sock}"]
    for number, mac in enumerate(MACS, 1):
        words += ["-device", f"virtio-net-pci,netdev=n{number},mac={mac},romfile="]
    with Guest(nandu, *words, task=TASK, as_nobody=True) as guest:
        guest.wait_console("httpd is up")
        with open(f"/proc/{guest.process.pid}/status", encoding="utf-8") as file:
            assert f"Uid:\t{NOBODY}\t" in file.read(), "nandu runs with rights it needs none of"
        assert _fetch(HTTP_PORT) == data[:1000000]
        assert _human(guest, f"hostfwd_add n1 tcp:127.0.0.1:{LATER_PORT}-:80") == ""
        assert _fetch(LATER_PORT) == data[:1000000]
        table = _human(guest, "info usernet")
        assert "(n1):" in table and f"{LATER_PORT}" in table and "(n2):" in table, table
        assert "removed" in _human(guest, f"hostfwd_remove n1 tcp:127.0.0.1:{LATER_PORT}")
        with socket.create_connection(("127.0.0.1", 9090)) as end:
            end.sendall(b"done\n")
        guest.ends_cleanly()
        output, status = guest.task()
        print("       " + output.replace("\n", "\n       "), flush=True)
        assert status == 0, status
        assert guest.stderr() == "", guest.stderr()
    assert " 10.0.2.15 router 10.0.2.2 dns 10.0.2.3 domain" in output, output
    assert " 10.9.0.15 " in output and " 10.7.0.15 router 10.7.0.2 dns 10.7.0.3" in output, output
    assert output.count("3 packets received") == 2, output
    assert "\n0\n" in output, "the restricted network let a connection out"
    assert "\nover\n" in output, output
    wanted = hashlib.sha256(data).hexdigest()
    assert f"down: {wanted}" in output, output
    transfer.join(60)
    assert transfer.received == wanted, transfer.received
    assert f"stream down: {hashlib.sha256(small).hexdigest()}" in output, output
    assert "inet6 fec0::5054:ff:fe00:1/64 scope site" in output, output


JOINED = PRELUDE.replace("{", "{{").replace("}", "}}") + """
port=$(named {mac})
ip address add 198.18.71.{own}/24 dev $port
ip link set $port up
{work}
"""
SENDER = """
head -c 10000000 /dev/urandom >/tmp/bulk
echo "sent $(sha256sum </tmp/bulk)"
nc -l -p 7000 </tmp/bulk
while ping -c 1 -w 3 198.18.71.2 >/dev/null; do sleep 1; done
"""
RECEIVER = """
ping -c 1 -w 60 198.18.71.1 | grep 'packets received'
mkfifo /tmp/open
exec 9<>/tmp/open
while ! nc 198.18.71.1 7000 <&9 >/tmp/bulk 2>/dev/null; do sleep 1; done
echo "got $(sha256sum </tmp/bulk)"
"""


def two_guests_are_joined_by_a_stream(nandu):
    sock = nandu.file("joined")
    server = ["-netdev", f"stream,id=n,server=on,addr.type=unix,addr.path={sock}", "-device", f"virtio-net-pci,netdev=n,mac={MACS[0]}"]
    client = ["-netdev", f"stream,id=n,addr.type=unix,addr.path={sock}", "-device", f"virtio-net-pci,netdev=n,mac={MACS[1]}"]
    with Guest(nandu, *server, task=JOINED.format(mac=MACS[0], own=1, work=SENDER), memory="256M") as first:
        with Guest(nandu, *client, task=JOINED.format(mac=MACS[1], own=2, work=RECEIVER), memory="256M") as second:
            event = first.qmp.wait_event("NETDEV_STREAM_CONNECTED")
            assert event["data"] == {"netdev-id": "n", "addr": {"type": "unix", "path": ""}}, event
            second.ends_cleanly()
            received, status = second.task()
            assert status == 0, received
        assert first.qmp.wait_event("NETDEV_STREAM_DISCONNECTED")["data"] == {"netdev-id": "n"}
        first.ends_cleanly()
        sent, status = first.task()
    assert "1 packets received" in received, received
    digest = sent.split("sent ")[1].split()[0]
    assert f"got {digest}" in received, (sent, received)


if __name__ == "__main__":
    run_cases([a_user_network_needs_no_root, two_guests_are_joined_by_a_stream])

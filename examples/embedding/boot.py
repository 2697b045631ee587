#!/usr/bin/env python3
"""boot.py IMAGE: starts a VM of nandu, tells its events, and powers it off when Enter is pressed.

A program that embeds VMs needs the binary and QMP, its JSON protocol: a greeting, a command that begins the session, then an answer for
each command and events in between. That is QEMU's protocol, so code written for QEMU works too.
"""

import json
import os
import selectors
import socket
import subprocess
import sys

image = sys.argv[1]
image_format = "qcow2" if image.endswith(".qcow2") else "raw"
ours, monitor = socket.socketpair()
vm = subprocess.Popen(["nandu", "-M", "q35", "-accel", "kvm", "-cpu", "host", "-m", "1G", "-nodefaults", "-display", "none", "-snapshot",
                       "-drive", f"file={image},format={image_format},if=virtio", "-serial", "null",
                       # The monitor is a socket that we hold the other end of: no path, and nobody else can connect.
                       "-chardev", f"socket,id=monitor,fd={monitor.fileno()}", "-mon", "chardev=monitor,mode=control"],
                      pass_fds=[monitor.fileno()], stdin=subprocess.DEVNULL)
monitor.close()
received = b""


def command(name, **arguments):
    ours.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")


def messages():
    """What has come; several at once, or a part of one, as the socket has it."""
    global received
    received += ours.recv(65536)
    *lines, received = received.split(b"\n")
    return [json.loads(line) for line in lines]


command("qmp_capabilities")
command("query-status")
print("Enter powers it off.", flush=True)
waits = selectors.DefaultSelector()
waits.register(ours, selectors.EVENT_READ)
waits.register(sys.stdin, selectors.EVENT_READ)
while vm.poll() is None:
    for key, _ in waits.select(timeout=1):
        if key.fileobj is sys.stdin:
            waits.unregister(sys.stdin)
            if os.read(sys.stdin.fileno(), 4096):
                command("system_powerdown")
        else:
            for message in messages():
                what = "event" if "event" in message else "greeting" if "QMP" in message else "answer"
                print(f"{what}: {message}", flush=True)
print("it ended with status", vm.returncode)

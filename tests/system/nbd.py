"""A block device whose answers a test holds back: /dev/nbdN, served from here.

    with HeldDisk(data) as disk:
        ... disk.path ...
        disk.hold()             # from now on requests are taken and not answered
        disk.wait_held(32768)   # that many bytes of reads are in flight
        disk.release()          # all are answered, and those that come

Linux: drivers/block/nbd.c; requests: the NetworkBlockDevice project's doc/proto.md, "Transmission phase".
"""

import fcntl
import os
import signal
import socket
import struct
import subprocess
import threading

SET_SOCK, SET_BLKSIZE, DO_IT, CLEAR_SOCK, SET_SIZE_BLOCKS, SET_FLAGS = 0xAB00, 0xAB01, 0xAB03, 0xAB04, 0xAB07, 0xAB0A
HAS_FLAGS, SEND_FLUSH = 1, 4
READ, WRITE, DISCONNECT, FLUSH = 0, 1, 2, 3
REQUEST = struct.Struct(">IIQQI")
REPLY = struct.Struct(">IIQ")
REQUEST_MAGIC, REPLY_MAGIC = 0x25609513, 0x67446698
BLOCK = 512


def _free_device():
    tools = {**os.environ, "PATH": os.environ["PATH"] + ":/sbin:/usr/sbin"}
    if not os.path.exists("/sys/block/nbd0"):
        subprocess.run(["modprobe", "nbd"], check=True, env=tools)
    for number in range(16):
        directory = f"/sys/block/nbd{number}"
        if os.path.exists(directory) and not os.path.exists(f"{directory}/pid"):
            yield f"/dev/nbd{number}"


class HeldDisk:
    def __init__(self, data, can_flush=False):
        self.data = bytearray(data)
        self.changed = threading.Condition()
        self.holding = False
        self.held = []
        self.server, client = socket.socketpair()
        for self.path in _free_device():
            self.device = os.open(self.path, os.O_RDWR)
            try:
                fcntl.ioctl(self.device, SET_SOCK, client.fileno())
                break
            except OSError:  # somebody was quicker
                os.close(self.device)
        else:
            raise AssertionError("there is no free /dev/nbd device")
        client.close()  # the kernel has it now
        fcntl.ioctl(self.device, SET_BLKSIZE, BLOCK)
        fcntl.ioctl(self.device, SET_SIZE_BLOCKS, len(data) // BLOCK)
        fcntl.ioctl(self.device, SET_FLAGS, HAS_FLAGS | (SEND_FLUSH if can_flush else 0))
        self.threads = [threading.Thread(target=self._serve, daemon=True), threading.Thread(target=self._run, daemon=True)]
        for thread in self.threads:
            thread.start()
        os.close(os.open(self.path, os.O_RDONLY))  # it looks for partitions, and is there

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        """What is held fails, so that whoever waits for it can end."""
        self.server.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        os.close(self.device)
        self.server.close()

    def _run(self):
        # A signal would end the device instead of the wait.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            fcntl.ioctl(self.device, DO_IT)
        except OSError:
            pass  # the connection was cut, which is how it ends
        fcntl.ioctl(self.device, CLEAR_SOCK)

    def _take(self, count):
        taken = b""
        while len(taken) < count:
            piece = self.server.recv(count - len(taken))
            if not piece:
                return None
            taken += piece
        return taken

    def _serve(self):
        while (header := self._take(REQUEST.size)) is not None:
            magic, kind, handle, offset, count = REQUEST.unpack(header)
            assert magic == REQUEST_MAGIC, header
            kind &= 0xFFFF
            if kind == DISCONNECT:
                return
            if kind == WRITE:
                self.data[offset : offset + count] = self._take(count)
            with self.changed:
                if self.holding:
                    self.held.append((kind, handle, offset, count))
                    self.changed.notify_all()
                    continue
                self._answer(kind, handle, offset, count)

    def _answer(self, kind, handle, offset, count):
        body = bytes(self.data[offset : offset + count]) if kind == READ else b""
        try:
            self.server.sendall(REPLY.pack(REPLY_MAGIC, 0, handle) + body)
        except BrokenPipeError:
            pass  # nobody waits any more

    def hold(self):
        with self.changed:
            self.holding = True

    def wait_held(self, read_bytes, timeout):
        with self.changed:
            held = self.changed.wait_for(lambda: sum(each[3] for each in self.held if each[0] == READ) >= read_bytes, timeout)
            assert held, f"only these requests came within {timeout} s: {self.held}"
            return [(each[2], each[3]) for each in self.held if each[0] == READ]

    def holds_flush(self):
        with self.changed:
            return any(each[0] == FLUSH for each in self.held)

    def release(self):
        with self.changed:
            self.holding = False
            for request in self.held:
                self._answer(*request)
            self.held = []

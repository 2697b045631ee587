"""Starts the real program for tests: command lines, output, QMP, and what a wrong one leaves behind."""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import traceback


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nandu", required=True, help="the program under test")
    parser.add_argument("cases", nargs="*", help="names of test cases; all when none is given")
    return parser.parse_args()


# A refusal takes less than a second; on an emulated CPU that others use as well, it must end at all.
REFUSAL_S = 10 if os.environ.get("LAB") == "nested" else 1


class Skip(Exception):
    """What this machine cannot show, and why; raised by a case."""


SKIPPED = 77  # the status of a program all of whose cases were skipped (ctest's SKIP_RETURN_CODE)


def run_cases(cases):
    """Runs functions that raise on failure; prints a line each and ends the process with the verdict."""
    options = arguments()
    chosen = [case for case in cases if not options.cases or case.__name__ in options.cases]
    failed, skipped = [], []
    for case in chosen:
        begin = time.monotonic()
        try:
            with tempfile.TemporaryDirectory(prefix="nandu-test-") as directory:
                program = Program(os.path.abspath(options.nandu), directory)
                try:
                    case(program)
                finally:
                    program.kill_all()  # what a failed case left running
            verdict = "ok"
        except Skip as reason:
            print(f"       {reason}")
            verdict = "skip"
            skipped.append(case.__name__)
        except Exception:  # noqa: BLE001 - a test case may fail in any way, and the next one still runs
            traceback.print_exc()
            verdict = "FAILED"
            failed.append(case.__name__)
        print(f"{verdict:6} {case.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
    print(f"{len(chosen) - len(failed) - len(skipped)} passed, {len(failed)} failed, {len(skipped)} skipped", flush=True)
    sys.exit(1 if failed or not chosen else SKIPPED if len(skipped) == len(chosen) else 0)


def make_rom(path, code, size=64 * 1024):
    """A ROM whose reset vector holds `code` (at most 16 bytes)."""
    assert len(code) <= 16
    rom = bytearray(b"\xf4" * size)  # hlt
    rom[size - 16 : size - 16 + len(code)] = code
    with open(path, "wb") as file:
        file.write(rom)
    return path


def assemble_rom(path, source, patches=None):
    """A ROM from an assembler file beside this one; `patches`: offsets and the byte that is put there."""
    parts = path + ".o"
    subprocess.run(["as", "--32", "-o", parts, os.path.join(os.path.dirname(os.path.abspath(__file__)), source)], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", parts, path], check=True)
    with open(path, "r+b") as file:
        for offset, byte in (patches or {}).items():
            file.seek(offset)
            file.write(bytes([byte]))
    return path


class Program:
    def __init__(self, path, directory):
        self.path = path
        self.directory = directory
        self.processes = []

    def file(self, name):
        return os.path.join(self.directory, name)

    def run(self, *words, timeout=20, **options):
        """Runs it to its end; stdout, stderr and the time it took are in the result."""
        begin = time.monotonic()
        result = subprocess.run([self.path, *words], capture_output=True, text=True, timeout=timeout, cwd=self.directory,
                                stdin=subprocess.DEVNULL, check=False, **options)
        result.seconds = time.monotonic() - begin
        return result

    def refused(self, *words, **options):
        """Runs what is refused, and holds it to the time that takes: the fastest of three counts, since a machine that other tests keep busy
        may let a process wait that does nothing but ask KVM."""
        for _ in range(3):
            result = self.run(*words, **options)
            if result.seconds < REFUSAL_S:
                return result
        raise AssertionError(f"a refusal took {result.seconds:.1f} s: {result}")

    def start(self, *words, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.STDOUT)
        process = subprocess.Popen([self.path, *words], cwd=self.directory, **options)
        self.processes.append(process)
        return process

    def kill_all(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()


class Qmp:
    """A QMP session over a unix socket; events are kept in order."""

    def __init__(self, path, timeout=20, process=None):
        """`process`: who is to listen there; nobody waits for one that ended."""
        deadline = time.monotonic() + timeout
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(path)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                self.socket.close()
                if time.monotonic() > deadline or (process is not None and process.poll() is not None):
                    raise
                time.sleep(0.01)
        self.socket.settimeout(timeout)
        self.stream = self.socket.makefile("rwb")
        self.events = []
        self.greeting = self._read()
        assert "QMP" in self.greeting, self.greeting
        self.command("qmp_capabilities")

    def _read(self):
        line = self.stream.readline()
        if not line:
            raise EOFError("QMP connection closed")
        assert line.endswith(b"\r\n"), line
        return json.loads(line)

    def command(self, name, **args):
        message = {"execute": name}
        if args:
            message["arguments"] = args
        self.stream.write(json.dumps(message).encode() + b"\n")
        self.stream.flush()
        while True:
            reply = self._read()
            if "event" not in reply:
                return reply
            self.events.append(reply)

    def wait_event(self, name):
        while True:
            for position, event in enumerate(self.events):
                if event["event"] == name:
                    return self.events.pop(position)
            self.events.append(self._read())

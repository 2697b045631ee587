"""Documents that the program writes itself: docs/command-line.md whole, and the list at the end of docs/devices.md."""

import os
import subprocess

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BEGIN = "<!-- Made by `nandu devices --markdown` (scripts/update-docs). -->\n"


def _print(program, *words):
    return subprocess.run([program, *words], capture_output=True, text=True, check=True, timeout=20).stdout


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def expected(program):
    """What each document should hold, by its path."""
    devices = read("docs/devices.md")
    assert devices.count(BEGIN) == 1, "docs/devices.md has lost the line its list begins with"
    return {"docs/command-line.md": _print(program, "options", "--markdown"),
            "docs/devices.md": devices[:devices.index(BEGIN)] + BEGIN + "\n" + _print(program, "devices", "--markdown")}

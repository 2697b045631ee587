"""Real gdb in batch mode."""

import subprocess


def gdb(socket, *commands, patience_s=60):
    """What the commands print; anything that gdb calls an error fails."""
    words = ["gdb", "-nx", "-batch", "-ex", "set confirm off", "-ex", f"set remotetimeout {patience_s}", "-ex", f"target remote {socket}"]
    for command in commands:
        words += ["-ex", command]
    result = subprocess.run(words, capture_output=True, text=True, timeout=patience_s, check=False)
    print("       " + result.stdout.rstrip().replace("\n", "\n       "), flush=True)
    assert result.returncode == 0, result.stderr
    for wrong in ("Remote failure", "Remote connection", "Remote '", "annot access", "packet error", "Ignoring", "reply is too long", "not being run"):
        assert wrong not in result.stderr + result.stdout, (result.stdout, result.stderr)
    return result.stdout

"""virtio-balloon with stock guests: memory that is ballooned away, or reported as free, is the host's again."""

import re
import time

from guest import PATIENCE_S, Guest
from nandu import run_cases

MIB = 1 << 20
FULL_MIB = 512
SMALL_MIB = 256
FILE_MIB = 192
SIGN_MIB = 16

# Fills memory and frees it again: the host has had to give the pages by then.
TOUCH = f"""
mem() {{ sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo; }}
mount -t tmpfs -o size={FILE_MIB + 16}m tmpfs /tmp
dd if=/dev/zero of=/tmp/file bs=1M count={FILE_MIB} 2>/dev/null
"""


def _rss_mib(guest):
    """What the guest's memory takes of the host: the process's anonymous pages."""
    with open(f"/proc/{guest.process.pid}/status", encoding="ascii") as file:
        return int(re.search(r"RssAnon:\s+(\d+) kB", file.read())[1]) / 1024


def _wait_for(what, condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {PATIENCE_S} s"
        time.sleep(0.1)


def _memory_said(guest, word):
    """MemTotal in MiB as the guest printed it after a word."""
    _wait_for(word, lambda: re.search(rf"{word} \d+\n", guest.console()))
    return int(re.search(rf"{word} (\d+)\n", guest.console())[1]) / 1024


def the_balloon_takes_memory_and_gives_it_back(nandu):
    script = TOUCH + """
rm /tmp/file
full=$(mem)
echo "FULL $full"
while [ $(mem) -gt $((full - 256 * 1024)) ]; do usleep 100000; done
echo "SMALL $(mem)"
while [ $(mem) -lt $full ]; do usleep 100000; done
echo "AGAIN $(mem)"
"""
    with Guest(nandu, "-device", "virtio-balloon-pci,id=balloon0,guest-stats-polling-interval=1", memory=f"{FULL_MIB}M", task=script) as guest:
        assert guest.qmp.command("query-balloon") == {"return": {"actual": FULL_MIB * MIB}}
        full = _memory_said(guest, "FULL")
        before = _rss_mib(guest)
        assert guest.qmp.command("balloon", value=SMALL_MIB * MIB) == {"return": {}}
        small = _memory_said(guest, "SMALL")
        _wait_for("the balloon's size", lambda: guest.qmp.command("query-balloon") == {"return": {"actual": SMALL_MIB * MIB}})
        after = _rss_mib(guest)
        human = guest.qmp.command("human-monitor-command", **{"command-line": "info balloon"})
        assert human == {"return": f"balloon: actual={SMALL_MIB}\r\n"}, human
        changes = [guest.qmp.wait_event("BALLOON_CHANGE")]
        while changes[-1]["data"]["actual"] != SMALL_MIB * MIB:
            changes.append(guest.qmp.wait_event("BALLOON_CHANGE"))
        stamps = [event["timestamp"]["seconds"] + event["timestamp"]["microseconds"] / 1e6 for event in changes]
        print(f"       MemTotal {full:.0f} -> {small:.0f} MiB, host memory {before:.0f} -> {after:.0f} MiB, {len(changes)} events, {guest.seconds():.0f} s", flush=True)
        assert full - small == FULL_MIB - SMALL_MIB, (full, small)
        # All but what the guest had not touched before.
        assert before - after > FILE_MIB / 2, (before, after)
        # One a second at most; the host's timers may be late, and the next one then seems early.
        assert len(changes) <= stamps[-1] - stamps[0] + 2, stamps
        assert guest.qmp.command("human-monitor-command", **{"command-line": f"balloon {FULL_MIB}"}) == {"return": ""}
        assert _memory_said(guest, "AGAIN") == full
        guest.ends_cleanly()


def what_a_guest_frees_is_reported_and_given_back(nandu):
    # A small balloon is the sign for the guest to free its file.
    script = TOUCH + """
full=$(mem)
echo "TOUCHED $full"
while [ $(mem) -ge $full ]; do usleep 100000; done
rm /tmp/file
echo "FREED $(mem)"
"""
    with Guest(nandu, "-device", "virtio-balloon-pci,free-page-reporting=on", memory=f"{FULL_MIB}M", task=script, after="stay") as guest:
        _memory_said(guest, "TOUCHED")
        before = _rss_mib(guest)
        assert guest.qmp.command("balloon", value=(FULL_MIB - SIGN_MIB) * MIB) == {"return": {}}
        _memory_said(guest, "FREED")
        # Linux reports blocks of 2 MiB, two seconds after they were freed; what is scattered stays.
        _wait_for("giving back", lambda: before - _rss_mib(guest) > SIGN_MIB + FILE_MIB / 2)
        print(f"       a file of {FILE_MIB} MiB is gone: host memory {before:.0f} -> {_rss_mib(guest):.0f} MiB, {guest.seconds():.0f} s", flush=True)
        assert guest.qmp.command("quit") == {"return": {}}
        assert guest.wait() == 0


if __name__ == "__main__":
    run_cases([the_balloon_takes_memory_and_gives_it_back, what_a_guest_frees_is_reported_and_given_back])

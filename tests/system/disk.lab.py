"""virtio-blk under a stock Debian: verified writes with every cache mode, data that both sides see alike, discard, a disk that grows, a host that is
full, interrupts of every kind, and a host without io_uring."""

import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys

from guest import HERE, Guest, root_disk
from nandu import run_cases

MIB = 1 << 20
SIZE = 64 * MIB
SMALL = 16 * MIB
# What the cases do where on a disk: fio writes [0, 32), [32, 48) is discarded, [48, 52) becomes zeroes, [52, 58) is read and its copy on the other
# disk is [58, 64).
TASK = """
set -e
kernel_of() { basename $(readlink -f /dev/disk/by-id/virtio-$1); }
interrupts_of() { grep -wE "$(basename $(readlink -f /sys/block/$(kernel_of $1)/device))(-[a-z0-9.]+)?" /proc/interrupts; }
for name in first second; do
  disk=/dev/disk/by-id/virtio-$name
  kernel=$(kernel_of $name)
  echo "$name: $(ls /sys/block/$kernel/mq | wc -l) queues, $(blockdev --getsize64 $disk) bytes, cache $(cat /sys/block/$kernel/queue/write_cache)"
  echo "$name: $(interrupts_of $name | grep -c PCI-MSI) message-signalled"
  fio --name=$name --filename=$disk --direct=1 --ioengine=libaio --iodepth=16 --rw=randwrite --bsrange=4k-64k --size=@SIZE@ --fsync=64 \
    --verify=crc32c --verify_fatal=1 --randseed=7 --eta=never --output=/run/fio.$name || { cat /run/fio.$name; exit 1; }
  echo "$name: fio $(grep -o 'err= *[0-9]*' /run/fio.$name | tr -d ' ' | sort -u)"
  blkdiscard -o $((32 << 20)) -l $((16 << 20)) $disk
  blkdiscard -z -o $((48 << 20)) -l $((4 << 20)) $disk
  echo "$name: zeroed $(dd if=$disk bs=1M skip=48 count=4 iflag=direct status=none | tr -d '\\000' | wc -c)"
  echo "$name: read $(dd if=$disk bs=1M skip=52 count=6 iflag=direct status=none | sha256sum | cut -c1-64)"
done
dd if=/dev/disk/by-id/virtio-first of=/dev/disk/by-id/virtio-second bs=256k skip=208 seek=232 count=24 conv=fsync status=none
dd if=/dev/disk/by-id/virtio-second of=/dev/disk/by-id/virtio-first bs=1M skip=52 seek=58 count=6 iflag=direct oflag=direct status=none
sync
"""


# What else the first boot does. "through" grows while it runs; on "unsafe" zeroes deallocate; "full" lies where there is no room for it.
MODES_TASK = """
verified() { name=$1; shift
  fio --name=$name --filename=/dev/disk/by-id/virtio-$name --direct=1 --ioengine=libaio --iodepth=8 --verify=crc32c --verify_fatal=1 --randseed=7 \
    --eta=never --output=/run/fio.$name "$@" || { cat /run/fio.$name; exit 1; }
  echo "$name: fio $(grep -o 'err= *[0-9]*' /run/fio.$name | tr -d ' ' | sort -u)"; }
for name in through sync unsafe; do
  echo "$name: cache $(cat /sys/block/$(kernel_of $name)/queue/write_cache)"
  verified $name --rw=randwrite --bs=16k --size=4m
done
echo 'write through' > /sys/block/$(kernel_of second)/cache_type
echo "second: cache is now $(cat /sys/block/$(kernel_of second)/cache_type)"
verified second --rw=randwrite --bs=16k --size=2m
dd if=/dev/zero of=/dev/disk/by-id/virtio-unsafe bs=1M seek=8 count=4 oflag=direct status=none
echo "still: read-only $(blockdev --getro /dev/disk/by-id/virtio-still)"
if dd if=/dev/zero of=/dev/disk/by-id/virtio-still bs=512 count=1 oflag=direct status=none 2> /dev/null; then echo 'still: written'; fi
for cpu in 0 1; do taskset -c $cpu dd if=/dev/disk/by-id/virtio-first of=/dev/null bs=4k count=200 iflag=direct status=none; done
interrupts_of first | sed 's/^/first: /'
interrupts_of pin | sed 's/^/pin: /'
through=/dev/disk/by-id/virtio-through
echo "through: waits at $(blockdev --getsize64 $through)"
while [ $(blockdev --getsize64 $through) = 16777216 ]; do sleep 0.1; done
echo "through: grown to $(blockdev --getsize64 $through)"
dd if=/dev/disk/by-id/virtio-first of=$through bs=1M skip=52 seek=17 count=6 iflag=direct oflag=direct status=none
echo "full: begins"
verified full --rw=write --bs=64k --size=28m
"""


@contextlib.contextmanager
def _mounted(nandu, name, size):
    """A directory with an ext4 of its own."""
    image, mount = nandu.file(name + ".ext4"), nandu.file(name)
    os.mkdir(mount)
    with open(image, "wb") as file:
        file.truncate(size)
    tools = {**os.environ, "PATH": os.environ["PATH"] + ":/sbin:/usr/sbin"}
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-J", "size=4", image], check=True, env=tools)
    subprocess.run(["mount", "-o", "loop,discard", image, mount], check=True, env=tools)
    try:
        yield mount
    finally:
        subprocess.run(["umount", mount], check=True, env=tools)


@contextlib.contextmanager
def _disk_directory(nandu):
    """A directory whose files take O_DIRECT and punch holes. A tmpfs does not, so there it is a file system of our own."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", nandu.directory], check=True, capture_output=True, text=True).stdout.strip()
    if kind not in ("tmpfs", "overlayfs", "ramfs", "v9fs"):
        yield nandu.directory
        return
    with _mounted(nandu, "disks", 4 * SIZE) as mount:
        yield mount


def _make_disk(directory, name, size=SIZE):
    file = os.path.join(directory, name + ".raw")
    with open(file, "wb") as disk:
        for _ in range(size // MIB):
            disk.write(os.urandom(MIB))
        disk.flush()
        os.fsync(disk.fileno())
    return file


def _read(file, begin_mib, count_mib):
    with open(file, "rb") as disk:
        disk.seek(begin_mib * MIB)
        return disk.read(count_mib * MIB)


def _next_data(file, offset):
    with open(file, "rb") as disk:
        return os.lseek(disk.fileno(), offset, os.SEEK_DATA)


def _has_ring(pid):
    links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    return any("io_uring" in link for link in links)


def _works(nandu, fio_size, launcher=(), append="", modes=None):
    """Boots Debian with two disks, works on both, and compares with what their images hold. Gives back the errors it printed and what the task
    said. `modes` has more disks, another task, and what to do meanwhile."""
    with _disk_directory(nandu) as directory:
        first, second = _make_disk(directory, "first"), _make_disk(directory, "second")
        read = {name: hashlib.sha256(_read(file, 52, 6)).hexdigest() for name, file in (("first", first), ("second", second))}
        before = {file: os.stat(file).st_blocks for file in (first, second)}
        two_threads = {"driver": "virtio-blk-pci", "drive": "d1", "serial": "first", "num-queues": 2,
                       "iothread-vq-mapping": [{"iothread": "io0"}, {"iothread": "io1"}]}
        words = ["-object", "iothread,id=io0", "-object", "iothread,id=io1",
                 "-drive", f"file={first},format=raw,if=none,id=d1,aio=native,cache=none,discard=unmap",
                 "-device", json.dumps(two_threads),
                 "-drive", f"file={second},format=raw,if=none,id=d2,aio=threads,cache=writeback,discard=unmap",
                 "-device", "virtio-blk-pci,drive=d2,serial=second,num-queues=1"]
        task = TASK.replace("@SIZE@", fio_size)
        if modes:
            words += modes.words(directory)
            task += MODES_TASK
        with Guest(nandu, *words, root=True, smp="2", task=task, launcher=launcher, append=append) as guest:
            guest.wait_console("NANDU-TASK-BEGIN")
            assert _has_ring(guest.process.pid) == (not launcher)
            if modes:
                modes.attend(guest)
            guest.ends_cleanly()
            output, status = guest.task()
            print("       " + output.replace("\n", "\n       "), flush=True)
            assert status == 0, status
            errors = guest.stderr()
        for name, queues in (("first", 2), ("second", 1)):
            vectors = 0 if "pci=nomsi" in append else queues + 1
            assert f"{name}: {queues} queues, {SIZE} bytes, cache write back\n{name}: {vectors} message-signalled\n" in output, output
            assert f"{name}: fio err=0\n" in output, output
            assert f"{name}: zeroed 0\n" in output, output
            assert f"{name}: read {read[name]}\n" in output, (output, read)
        assert hashlib.sha256(_read(second, 58, 6)).hexdigest() == read["first"]
        assert hashlib.sha256(_read(first, 58, 6)).hexdigest() == read["second"]
        for file in (first, second):
            # In blocks of 512 bytes; the file system may keep some of its own beside the data.
            freed = (before[file] - os.stat(file).st_blocks) * 512
            assert freed >= 15 * MIB, f"{file}: {freed} bytes were freed"
            assert _next_data(file, 32 * MIB) >= 48 * MIB
            assert _read(file, 48, 4) == bytes(4 * MIB)
        if modes:
            modes.check(output + "\n", read["first"])
        return errors


def _switches(pid, comm):
    """How often a thread waited: what an I/O thread that does nothing does not do."""
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="utf-8") as file:
            status = file.read()
        if f"Name:\t{comm}\n" in status:
            return int(re.search(r"\nvoluntary_ctxt_switches:\t(\d+)", status)[1])
    raise AssertionError(f"there is no thread '{comm}'")


class _Modes:
    """Disks of every cache mode, one that grows, one that may only be read, one without MSI-X, and one whose file system is too small for it."""

    def __init__(self, small):
        self.small = small  # a file system of its own
        self.files = {}

    def words(self, directory):
        caches = {"through": "writethrough", "sync": "directsync", "unsafe": "unsafe,discard=unmap,detect-zeroes=unmap", "still": "none,read-only=on",
                  "pin": "none"}
        words = []
        for name, cache in caches.items():
            self.files[name] = _make_disk(directory, name, SMALL if name in ("through", "sync", "unsafe") else MIB)
            words += ["-drive", f"file={self.files[name]},format=raw,if=none,id={name},cache={cache}",
                      "-device", f"virtio-blk-pci,drive={name},serial={name},num-queues=1" + (",vectors=0" if name == "pin" else "")]
        self.files["full"] = os.path.join(self.small, "full.raw")
        with open(self.files["full"], "wb") as file:
            file.truncate(2 * SMALL)
        room = os.statvfs(self.small)
        with open(os.path.join(self.small, "ballast"), "wb") as file:
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_bsize - 10 * MIB)
        self.zeroed = os.stat(self.files["unsafe"]).st_blocks
        return words + ["-blockdev", json.dumps({"driver": "file", "node-name": "full0", "filename": self.files["full"], "cache": {"direct": True}}),
                        "-device", "virtio-blk-pci,drive=full0,serial=full,num-queues=1"]

    def attend(self, guest):
        qmp = guest.qmp
        guest.wait_console(f"through: waits at {SMALL}\n")
        self.busy = {name: _switches(guest.process.pid, f"IO {name}") for name in ("io0", "io1")}
        assert qmp.command("block_resize", device="through", size=SMALL + 8 * MIB) == {"return": {}}
        # The host fills up under the guest's writes.
        error = qmp.wait_event("BLOCK_IO_ERROR")
        assert error["data"] == {"device": "", "node-name": "full0", "operation": "write", "action": "stop", "nospace": True,
                                 "reason": "No space left on device"}, error
        qmp.wait_event("STOP")
        status = qmp.command("query-status")["return"]
        assert status == {"running": False, "singlestep": False, "status": "io-error"}, status
        statuses = {disk["inserted"]["node-name"]: disk["io-status"] for disk in qmp.command("query-block")["return"] if "io-status" in disk}
        assert statuses.pop("full0") == "nospace" and set(statuses.values()) == {"ok"}, statuses
        os.remove(os.path.join(self.small, "ballast"))
        qmp.events = [event for event in qmp.events if event["event"] != "BLOCK_IO_ERROR"]
        assert qmp.command("cont") == {"return": {}}
        qmp.wait_event("RESUME")
        assert "nospace" not in json.dumps(qmp.command("query-block")["return"]), "cont forgets"

    def check(self, output, read):
        for name, cache in (("through", "through"), ("sync", "through"), ("unsafe", "back")):
            assert f"{name}: cache write {cache}\n{name}: fio err=0\n" in output, output
        assert "second: cache is now write through\nsecond: fio err=0\n" in output, output
        assert "still: read-only 1\n" in output and "still: written" not in output, output
        assert re.search(r"first: .*PCI-MSI.*req\.0\nfirst: .*PCI-MSI.*req\.1\n", output), output
        assert re.search(r"pin: .*IO-APIC.*fasteoi.*virtio\d+", output), output
        assert min(self.busy.values()) > 50, self.busy
        assert f"through: grown to {SMALL + 8 * MIB}\n" in output, output
        assert os.stat(self.files["through"]).st_size == SMALL + 8 * MIB
        assert hashlib.sha256(_read(self.files["through"], 17, 6)).hexdigest() == read
        assert (self.zeroed - os.stat(self.files["unsafe"]).st_blocks) * 512 >= 3 * MIB
        assert _read(self.files["unsafe"], 8, 4) == bytes(4 * MIB)
        assert "full: fio err=0\n" in output, output


def both_engines_keep_every_byte(nandu):
    with _mounted(nandu, "small", 48 * MIB) as small:
        errors = _works(nandu, "32m", modes=_Modes(small))
    lines = errors.splitlines()
    assert lines and all("writing 'full0' failed: No space left on device; the VM stops until 'cont'" in line for line in lines), errors


def without_io_uring_the_same_boot_works_and_says_so(nandu):
    # Without message-signalled interrupts as well.
    errors = _works(nandu, "8m", launcher=[sys.executable, os.path.join(HERE, "deny_io_uring.py")], append="pci=nomsi")
    served = re.findall(r"disk image '([^']+)' is served by worker threads, since io_uring cannot be used \(.*Operation not permitted.*\)", errors)
    assert sorted(os.path.basename(name) for name in served) == sorted(["first.raw", "second.raw", "task", os.path.basename(root_disk())]), errors


if __name__ == "__main__":
    run_cases([both_engines_keep_every_byte, without_io_uring_the_same_boot_works_and_says_so])

"""virtio-blk under a stock Debian: verified random writes, data that both sides see alike, discard, and a host without io_uring."""

import contextlib
import hashlib
import os
import re
import subprocess
import sys

from guest import HERE, Guest, root_disk
from nandu import run_cases

MIB = 1 << 20
SIZE = 64 * MIB
# What the cases do where on a disk: fio writes [0, 32), [32, 48) is discarded, [48, 52) becomes zeroes, [52, 58) is read and its copy on the other
# disk is [58, 64).
TASK = """
set -e
for name in first second; do
  disk=/dev/disk/by-id/virtio-$name
  kernel=$(basename $(readlink -f $disk))
  echo "$name: $(ls /sys/block/$kernel/mq | wc -l) queues, $(blockdev --getsize64 $disk) bytes, cache $(cat /sys/block/$kernel/queue/write_cache)"
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


@contextlib.contextmanager
def _disk_directory(nandu):
    """A directory whose files take O_DIRECT and punch holes. A tmpfs does not, so there it is a file system of our own."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", nandu.directory], check=True, capture_output=True, text=True).stdout.strip()
    if kind not in ("tmpfs", "overlayfs", "ramfs", "v9fs"):
        yield nandu.directory
        return
    image, mount = nandu.file("disks.ext4"), nandu.file("disks")
    os.mkdir(mount)
    with open(image, "wb") as file:
        file.truncate(4 * SIZE)
    tools = {**os.environ, "PATH": os.environ["PATH"] + ":/sbin:/usr/sbin"}
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-J", "size=4", image], check=True, env=tools)
    subprocess.run(["mount", "-o", "loop,discard", image, mount], check=True, env=tools)
    try:
        yield mount
    finally:
        subprocess.run(["umount", mount], check=True, env=tools)


def _make_disk(directory, name):
    file = os.path.join(directory, name + ".raw")
    with open(file, "wb") as disk:
        for _ in range(SIZE // MIB):
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


def _works(nandu, fio_size, launcher=()):
    """Boots Debian with two disks, works on both, and compares with what their images hold. Gives back the errors it printed."""
    with _disk_directory(nandu) as directory:
        first, second = _make_disk(directory, "first"), _make_disk(directory, "second")
        read = {name: hashlib.sha256(_read(file, 52, 6)).hexdigest() for name, file in (("first", first), ("second", second))}
        before = {file: os.stat(file).st_blocks for file in (first, second)}
        words = ["-object", "iothread,id=io0",
                 "-drive", f"file={first},format=raw,if=none,id=d1,aio=io_uring,cache=none,discard=unmap",
                 "-device", "virtio-blk-pci,drive=d1,serial=first,num-queues=2,iothread=io0",
                 "-drive", f"file={second},format=raw,if=none,id=d2,aio=threads,cache=writeback,discard=unmap",
                 "-device", "virtio-blk-pci,drive=d2,serial=second,num-queues=1"]
        with Guest(nandu, *words, root=True, smp="2", task=TASK.replace("@SIZE@", fio_size), launcher=launcher) as guest:
            guest.wait_console("NANDU-TASK-BEGIN")
            assert _has_ring(guest.process.pid) == (not launcher)
            guest.ends_cleanly()
            output, status = guest.task()
            print("       " + output.replace("\n", "\n       "), flush=True)
            assert status == 0, status
            errors = guest.stderr()
        for name, queues in (("first", 2), ("second", 1)):
            assert f"{name}: {queues} queues, {SIZE} bytes, cache write back\n" in output, output
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
        return errors


def both_engines_keep_every_byte(nandu):
    errors = _works(nandu, "32m")
    assert errors == "", errors


def without_io_uring_the_same_boot_works_and_says_so(nandu):
    errors = _works(nandu, "8m", launcher=[sys.executable, os.path.join(HERE, "deny_io_uring.py")])
    served = re.findall(r"disk image '([^']+)' is served by worker threads, since io_uring cannot be used \(.*Operation not permitted.*\)", errors)
    assert sorted(os.path.basename(name) for name in served) == sorted(["first.raw", "second.raw", "task", os.path.basename(root_disk())]), errors


if __name__ == "__main__":
    run_cases([both_engines_keep_every_byte, without_io_uring_the_same_boot_works_and_says_so])

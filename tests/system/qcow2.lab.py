"""qcow2 under a stock Debian: its root is an overlay of the raw root image, which stays as it was, and a second disk is written with verification.
What the guest leaves behind, qemu-img calls clean."""

import hashlib
import json
import os
import subprocess

from guest import Guest, root_disk
from nandu import run_cases

MIB = 1 << 20
TASK = """
set -e
disk=/dev/disk/by-id/virtio-data
echo "data: $(blockdev --getsize64 $disk) bytes, cache $(cat /sys/block/$(basename $(readlink -f $disk))/queue/write_cache)"
fio --name=data --filename=$disk --direct=1 --ioengine=libaio --iodepth=16 --rw=randwrite --bsrange=4k-64k --size=24m --fsync=32 \
  --verify=crc32c --verify_fatal=1 --randseed=7 --eta=never --output=/run/fio || { cat /run/fio; exit 1; }
echo "data: fio $(grep -o 'err= *[0-9]*' /run/fio | tr -d ' ' | sort -u)"
blkdiscard -o $((16 << 20)) -l $((8 << 20)) $disk
echo "data: discarded $(dd if=$disk bs=1M skip=16 count=8 iflag=direct status=none | tr -d '\\000' | wc -c)"
dd if=$disk of=$disk bs=1M count=8 seek=32 iflag=direct oflag=direct conv=notrunc status=none
echo "data: copied $(dd if=$disk bs=1M count=8 iflag=direct status=none | sha256sum | cut -c1-64)"
mount -o remount,rw /
dd if=/dev/urandom of=/root/written bs=1M count=4 conv=fsync status=none
sync
mount -o remount,ro / || true
"""


def _img(*words):
    return subprocess.run(["qemu-img", *words], check=True, capture_output=True, text=True).stdout


def _check(image):
    report = json.loads(_img("check", "--output=json", "-f", "qcow2", image))
    assert not report.get("corruptions") and not report.get("leaks"), report


def a_guest_runs_from_an_overlay(nandu):
    overlay, data = nandu.file("root.qcow2"), nandu.file("data.qcow2")
    before = os.stat(root_disk()).st_mtime_ns
    _img("create", "-q", "-f", "qcow2", "-b", root_disk(), "-F", "raw", overlay)
    _img("create", "-q", "-f", "qcow2", "-o", "extended_l2=on", data, str(64 * MIB))
    with Guest(nandu, "-drive", f"file={overlay},format=qcow2,if=virtio,discard=unmap",
               "-drive", f"file={data},format=qcow2,if=none,id=d,discard=unmap,l2-cache-size=64k",
               "-device", "virtio-blk-pci,drive=d,serial=data", append="root=LABEL=rootfs ro", task=TASK) as guest:
        guest.ends_cleanly()
        output, status = guest.task()
        print("       " + output.replace("\n", "\n       "), flush=True)
        assert status == 0, status
    assert f"data: {64 * MIB} bytes, cache write back\ndata: fio err=0\ndata: discarded 0\n" in output, output
    assert os.stat(root_disk()).st_mtime_ns == before, "the base image was written to"
    for image in (overlay, data):
        _check(image)
    assert json.loads(_img("info", "--output=json", overlay))["actual-size"] > 4 * MIB
    raw = nandu.file("data.raw")
    _img("convert", "-f", "qcow2", "-O", "raw", data, raw)
    with open(raw, "rb") as file:
        first = file.read(8 * MIB)
        file.seek(32 * MIB)
        assert file.read(8 * MIB) == first
    assert f"data: copied {hashlib.sha256(first).hexdigest()}" in output, output


if __name__ == "__main__":
    run_cases([a_guest_runs_from_an_overlay])

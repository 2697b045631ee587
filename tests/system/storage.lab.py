"""Disks and CD-ROM drives on AHCI and virtio-scsi under a stock Debian: the same names and facts as QEMU's for the same words, verified writes, data
that both sides see alike, interrupts by message and by pin, and media that change."""

import hashlib
import os
import re
import shutil

import iso9660
from guest import Guest, run_task
from nandu import Program, run_cases

MIB = 1 << 20
SIZE = 24 * MIB  # of a disk: fio writes [0, 16), [16, 20) is read, [20, 24) is a copy of it from the other disk

# In a nested machine it takes udev seconds to know the disks.
SETTLED = "udevadm settle --timeout=60 || exit 1\n"
# What of the machine depends on its devices alone. The root disk and the task's are virtio-blk on both sides.
FACTS = """
facts() {
  for link in /dev/disk/by-id/*; do echo "link $(basename $link)"; done
  for device in /sys/bus/scsi/devices/[0-9]*; do
    address=$(basename $device); address=${address#*:}
    [ -e $device/model ] || continue
    echo "device $(cat $device/type) $(cat $device/vendor) $(cat $device/model) $(cat $device/rev) level $(cat $device/scsi_level)"
  done
  for block in $(ls -d /sys/block/sd* /sys/block/sr* | xargs -n1 basename); do
    link=$(for each in /dev/disk/by-path/*; do [ "$(basename $(readlink -f $each))" = $block ] && basename $each; done | sort | tr '\\n' ' ')
    queue=/sys/block/$block/queue
    echo "block $link removable $(cat /sys/block/$block/removable) size $(cat /sys/block/$block/size) events $(cat /sys/block/$block/events)"
    for each in logical_block_size physical_block_size rotational write_cache discard_granularity discard_max_bytes max_hw_sectors_kb; do
      echo "block $link $each $(cat $queue/$each)"
    done
  done
  cat /proc/sys/dev/cdrom/info | tail -n +4 | tr -s '\\t ' ' ' | grep -v 'drive name'
  dmesg | grep -oE 'ata[0-9]\\.00: (ATA|ATAPI|configured|[0-9]+ sectors).*|ata[0-9]: SATA link.*' | sort
}
facts | sort | sed 's/^/fact /'
"""

TASK = SETTLED + FACTS + """
set -e
of() { readlink -f /dev/disk/by-id/$1; }
ata=$(of ata-QEMU_HARDDISK_satadisk)
scsi=$(of scsi-35000c50015ea71ac)
for disk in $ata $scsi; do
  fio --name=verify --filename=$disk --direct=1 --ioengine=libaio --iodepth=16 --rw=randwrite --bsrange=4k-64k --size=16m --fsync=64 \\
    --verify=crc32c --verify_fatal=1 --randseed=7 --eta=never --output=/run/fio || { cat /run/fio; exit 1; }
done
echo "read ata $(dd if=$ata bs=1M skip=16 count=4 iflag=direct status=none | sha256sum | cut -c1-64)"
echo "read scsi $(dd if=$scsi bs=1M skip=16 count=4 iflag=direct status=none | sha256sum | cut -c1-64)"
dd if=$ata of=$scsi bs=256k skip=64 seek=80 count=16 iflag=direct oflag=direct status=none
dd if=$scsi of=$ata bs=1M skip=16 seek=20 count=4 iflag=direct oflag=direct status=none
for cd in /dev/sr0 /dev/sr1; do
  mkdir -p /run/cd
  mount -t iso9660 -o ro $cd /run/cd
  echo "mounted $(cat /run/cd/hello.txt) $(sha256sum < /run/cd/data | cut -c1-64)"
  umount /run/cd
done
sync
grep -E 'ahci|virtio[0-9]+-(request|control|event)|virtio[0-9]+$' /proc/interrupts | sed 's/^/irq /'
"""


def _disk(path):
    with open(path, "wb") as file:
        file.write(os.urandom(SIZE))
    return path


def _iso(directory, name, text):
    """An ISO 9660 image with two files; and the sum of one of them."""
    data = os.urandom(300_000)
    path = os.path.join(directory, name + ".iso")
    with open(path, "wb") as out:
        out.write(iso9660.image({"hello.txt": text.encode(), "data": data}))
    return path, hashlib.sha256(data).hexdigest()


def _words(directory):
    ata, scsi = _disk(os.path.join(directory, "ata.raw")), _disk(os.path.join(directory, "scsi.raw"))
    first, second = _iso(directory, "first", "first"), _iso(directory, "second", "second")
    words = ["-device", "virtio-scsi-pci,id=scsi0,num_queues=2",
             "-drive", f"file={ata},format=raw,if=none,id=a", "-device", "ide-hd,bus=ide.0,drive=a,serial=satadisk",
             "-drive", f"file={first[0]},format=raw,if=none,id=c,media=cdrom", "-device", "ide-cd,bus=ide.1,drive=c,id=cd0",
             "-drive", f"file={scsi},format=raw,if=none,id=s,discard=unmap", "-device", "scsi-hd,bus=scsi0.0,drive=s,serial=scsidisk,wwn=0x5000c50015ea71ac",
             "-drive", f"file={second[0]},format=raw,if=none,id=d,media=cdrom", "-device", "scsi-cd,bus=scsi0.0,scsi-id=3,drive=d,id=cd1"]
    return words, ata, scsi, {"first": first[1], "second": second[1]}


def _sum(path, begin_mib, count_mib):
    with open(path, "rb") as file:
        file.seek(begin_mib * MIB)
        return hashlib.sha256(file.read(count_mib * MIB)).hexdigest()


def _check_data(output, ata, scsi, sums, before):
    assert f"read ata {before[0]}" in output and f"read scsi {before[1]}" in output, output
    assert _sum(scsi, 20, 4) == before[0] and _sum(ata, 20, 4) == before[1], "the copies differ"
    mounted = dict(re.findall(r"^mounted (\w+) (\w+)$", output, re.M))
    assert mounted == sums, (mounted, sums)


def _facts(output):
    return sorted(line for line in output.splitlines() if line.startswith("fact "))


def disks_and_drives_are_qemus(nandu):
    words, ata, scsi, sums = _words(nandu.directory)
    before = _sum(ata, 16, 4), _sum(scsi, 16, 4)
    ours = run_task(nandu, TASK, *words, kernel="generic", root=True, smp="2")
    _check_data(ours, ata, scsi, sums, before)
    assert re.search(r"irq .*[1-9]\d* .*PCI-MSI.*ahci", ours), ours
    assert re.search(r"irq .*[1-9]\d* .*PCI-MSI.*virtio\d+-request", ours), ours
    path = shutil.which("qemu-system-x86_64")
    assert path, "there is no qemu-system-x86_64 to compare with (Debian's qemu-system-x86)"
    directory = nandu.file("qemu")
    os.mkdir(directory)
    theirs = run_task(Program(path, directory), SETTLED + FACTS, *words, kernel="generic", root=True, smp="2")
    here, there = _facts(ours), _facts(theirs)
    assert here == there, "\n".join(["here alone:", *(set(here) - set(there)), "under QEMU alone:", *(set(there) - set(here))])


def without_messages_disks_use_the_pin(nandu):
    words, ata, scsi, sums = _words(nandu.directory)
    before = _sum(ata, 16, 4), _sum(scsi, 16, 4)
    output = run_task(nandu, TASK, *words, kernel="generic", root=True, append="pci=nomsi")
    _check_data(output, ata, scsi, sums, before)
    assert re.search(r"irq .*[1-9]\d* +IO-APIC.*fasteoi.*ahci", output), output
    assert "PCI-MSI" not in output, output


CHANGE = """
set -e
echo 0 > /proc/sys/dev/cdrom/autoclose  # else to look at an open drive closes it
mkdir -p /run/cd
for cd in sr0 sr1; do
  mount -t iso9660 -o ro /dev/$cd /run/cd; echo "$cd: $(cat /run/cd/hello.txt)"; umount /run/cd
done
echo "waits: eject"
while blockdev --getsize64 /dev/sr0 > /dev/null 2>&1 || blockdev --getsize64 /dev/sr1 > /dev/null 2>&1; do sleep 0.1; done
echo "waits: medium"
until blockdev --getsize64 /dev/sr0 > /dev/null 2>&1 && blockdev --getsize64 /dev/sr1 > /dev/null 2>&1; do sleep 0.1; done
for cd in sr0 sr1; do
  mount -t iso9660 -o ro /dev/$cd /run/cd; echo "$cd: now $(cat /run/cd/hello.txt)"; umount /run/cd
done
"""


def media_change_reaches_the_guest(nandu):
    words, *_ = _words(nandu.directory)
    third, _ = _iso(nandu.directory, "third", "third")
    with Guest(nandu, *words, "-blockdev", f"driver=file,node-name=t,filename={third},read-only=on", kernel="generic", root=True, task=CHANGE) as guest:
        guest.wait_console("waits: eject")
        assert guest.qmp.command("blockdev-insert-medium", **{"id": "cd0", "node-name": "t"})["error"]["class"] == "GenericError"  # the tray is closed
        for drive in ("cd0", "cd1"):
            assert guest.qmp.command("eject", id=drive, force=True) == {"return": {}}
            event = guest.qmp.wait_event("DEVICE_TRAY_MOVED")
            assert event["data"]["id"] == drive and event["data"]["tray-open"] is True, event
        guest.wait_console("waits: medium")
        drives = {drive["qdev"]: drive for drive in guest.qmp.command("query-block")["return"]}
        assert [drives[drive]["tray_open"] for drive in ("cd0", "cd1")] == [True, True], drives
        assert not any("inserted" in drives[drive] for drive in ("cd0", "cd1")), drives
        assert guest.qmp.command("blockdev-insert-medium", **{"id": "cd0", "node-name": "t"}) == {"return": {}}
        assert guest.qmp.command("blockdev-close-tray", id="cd0") == {"return": {}}
        assert guest.qmp.command("blockdev-change-medium", id="cd1", filename=os.path.join(nandu.directory, "first.iso"), format="raw") == {"return": {}}
        guest.ends_cleanly()
        output, status = guest.task()
        assert status == 0, output
        assert set(re.findall(r"^sr\d: (?!now)(\w+)$", output, re.M)) == {"first", "second"}, output
        assert set(re.findall(r"^sr\d: now (\w+)$", output, re.M)) == {"third", "first"}, output


if __name__ == "__main__":
    run_cases([disks_and_drives_are_qemus, without_messages_disks_use_the_pin, media_change_reaches_the_guest])

"""What a Debian guest reports about its board: the script that collects it (`COLLECT`, for a task of guest.py), and the report as values.

The script leaves files in /run/report and writes them as a tar archive to the disk with serial `report`; `Report` reads that disk.
"""

import collections
import re
import struct
import tarfile

REPORT_BYTES = 4 << 20
MTRRS = [*range(0x200, 0x210), 0x250, 0x258, 0x259, *range(0x268, 0x270), 0x277, 0x2FF]
CPUID_RANGES = {0: 0x20, 0x40000000: 0x11, 0x80000000: 0x22}
COLLECT = rf"""
cd /sys/bus/pci/devices
tar -cf /run/report/config.tar */config
grep -H '' */resource > /run/report/resources
for table in /sys/firmware/acpi/tables/[A-Z]* /sys/firmware/dmi/tables/DMI; do cat $table > /run/report/table.${{table##*/}}; done
grep -s '' /sys/bus/acpi/devices/*/path /sys/bus/acpi/devices/*/hid /sys/bus/acpi/devices/*/status /sys/bus/acpi/devices/*/uid \
  /sys/bus/acpi/devices/*/adr > /run/report/acpi || true
grep '' /sys/bus/pnp/devices/*/id > /run/report/pnp
grep -s '' /sys/class/dmi/id/* > /run/report/dmi || true
grep -s '' /sys/devices/system/cpu/cpu[0-9]*/topology/*_id /sys/devices/system/cpu/cpu[0-9]*/topology/*_list \
  /sys/devices/system/cpu/cpu[0-9]*/cache/index*/size > /run/report/topology || true
cd /sys/devices/system/clocksource/clocksource0
grep '' $PWD/current_clocksource $PWD/available_clocksource /sys/class/misc/hw_random/rng_available > /run/report/classes
find /sys/devices -name driver -type l -printf '%P %l\n' > /run/report/drivers
find /sys/bus/virtio/devices -type l -printf '%f %l\n' > /run/report/virtio
grep '' /sys/bus/virtio/devices/*/features > /run/report/features
find /dev/disk /dev/virtio-ports -type l -printf '%p\n' > /run/report/links
grep '' /sys/class/net/*/address > /run/report/macs
find /sys/class/net -type l -printf '%f %l\n' > /run/report/nics
modprobe -a msr cpuid
for cpu in 0 1; do
  for register in {' '.join(map(str, MTRRS))}; do
    dd if=/dev/cpu/$cpu/msr bs=8 count=1 iflag=skip_bytes skip=$register status=none
  done > /run/report/msr.$cpu
  for leaf in {' '.join(f'{first}:{count}' for first, count in CPUID_RANGES.items())}; do
    dd if=/dev/cpu/$cpu/cpuid bs=16 count=${{leaf#*:}} iflag=skip_bytes skip=${{leaf%:*}} status=none
  done > /run/report/cpuid.$cpu
done
for name in interrupts ioports cpuinfo mtrr bus/input/devices; do cat /proc/$name > /run/report/${{name##*/}}; done
dmesg -r > /run/report/dmesg
cd /run/report
tar -cf /dev/disk/by-id/virtio-report *
sync
"""
Bar = collections.namedtuple("Bar", "kind bytes")
AcpiDevice = collections.namedtuple("AcpiDevice", "hid uid adr status")
Interrupt = collections.namedtuple("Interrupt", "chip count")
IO, PREFETCH, MEMORY64 = 0x100, 0x2000, 0x100000  # of the kernel's resource flags


def _kind(flags):
    if flags & IO:
        return "io"
    return "memory" + (" 64" if flags & MEMORY64 else "") + (" prefetchable" if flags & PREFETCH else "")


class Report:
    def __init__(self, disk):
        self.files = {}
        with tarfile.open(disk) as archive:
            for member in archive.getmembers():
                self.files[member.name] = archive.extractfile(member).read()
            with tarfile.open(fileobj=archive.extractfile("config.tar")) as configs:
                # "0000:00:1f.0/config"
                self.configs = {member.name[5:12]: configs.extractfile(member).read() for member in configs.getmembers()}

    def text(self, name):
        return self.files[name].decode(errors="replace")

    def pairs(self, name, parts=2):
        """Lines of "/sys/.../DEVICE/ATTRIBUTE:value" as ((DEVICE, ATTRIBUTE), value), or with more parts of the path."""
        for line in self.text(name).splitlines():
            # A device may be called "device:0a".
            path, value = re.fullmatch(r"(.*?/[a-z][a-z0-9_]*):(?![0-9a-f]{2}/[a-z]+:)(.*)", line).groups()
            yield tuple(path.split("/")[-parts:]), value

    def bars(self):
        """{(address, BAR): Bar}; the expansion ROM is BAR 6."""
        found, at = {}, collections.Counter()
        for line in self.text("resources").splitlines():
            function, first, last, flags = re.fullmatch(r"0000:(\S+)/resource:(\S+) (\S+) (\S+)", line).groups()
            bar, at[function] = at[function], at[function] + 1
            if bar <= 6 and int(flags, 16):
                found[function, bar] = Bar(_kind(int(flags, 16)), int(last, 16) - int(first, 16) + 1)
        return found

    def ids(self, function):
        """Vendor and device."""
        return "%04x:%04x" % struct.unpack_from("<HH", self.configs[function])

    def acpi_devices(self):
        """{namespace path: AcpiDevice}"""
        attributes = collections.defaultdict(dict)
        for (device, attribute), value in self.pairs("acpi"):
            attributes[device][attribute] = value
        return {device["path"]: AcpiDevice(*map(device.get, AcpiDevice._fields)) for device in attributes.values() if "path" in device}

    def tables(self):
        return {name[len("table."):]: content for name, content in self.files.items() if name.startswith("table.")}

    def pnp_devices(self):
        return [(device, value) for (device, _), value in self.pairs("pnp")]

    def virtio(self):
        """{"virtio3": "00:04.0"}"""
        return {line.split()[0]: re.search(r"0000:(\S{7})/virtio\d+$", line)[1] for line in self.text("virtio").splitlines()}

    def interrupts(self):
        """{name: Interrupt} of those that have a name. The chip's text holds the pin, or the function and vector of an MSI."""
        found = {}
        for line in self.text("interrupts").splitlines()[1:]:
            counted = re.fullmatch(r" *\d+: +([\d ]+?) +(\S+) +(\d+-\w+) +(\S.*)", line)
            if counted:
                found[counted[4]] = Interrupt(f"{counted[2]} {counted[3]}", sum(map(int, counted[1].split())))
        return found

    def dmesg(self, worst=7, least=0):
        """Lines without their time, of the given levels (3: errors, 4: warnings)."""
        lines = re.findall(r"<(\d+)>\[ *[\d.]+\] (.*)", self.text("dmesg"))
        return [line for level, line in lines if least <= int(level) & 7 <= worst]

    def mtrrs(self, cpu):
        return dict(zip(MTRRS, struct.unpack(f"<{len(MTRRS)}Q", self.files[f"msr.{cpu}"])))

    def cpuid(self, cpu):
        """{leaf: (eax, ebx, ecx, edx)}, subleaf 0"""
        content = self.files[f"cpuid.{cpu}"]
        leaves = [first + n for first, count in CPUID_RANGES.items() for n in range(count)]
        assert len(content) == 16 * len(leaves), len(content)
        return {leaf: struct.unpack_from("<4I", content, 16 * n) for n, leaf in enumerate(leaves)}

    def e820(self):
        return [tuple(match) for match in re.findall(r"BIOS-e820: \[mem 0x(\w+)-0x(\w+)\] (\w+)", self.text("dmesg"))]

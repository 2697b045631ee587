"""Stock Debian boots to a login and ends by its power button: both kernels, both ways in, 1 to 16 vCPUs."""

import uuid

from guest import Guest, path, root_is_clean, run_task
from nandu import run_cases


def _release(kernel):
    with open(path(f"release-{kernel}"), encoding="ascii") as file:
        return file.read().strip()


def _boots_to_login(nandu, kernel, image, smp, memory="512M", words=()):
    with Guest(nandu, *words, root=True, kernel=kernel, image=image, smp=str(smp), memory=memory, after="stay",
               task="echo cpus $(nproc); uname -r; cat /proc/1/comm; systemd-detect-virt\n") as guest:
        guest.wait_console(" login: ")
        print(f"       login prompt after {guest.seconds():.1f} s", flush=True)
        assert guest.task() == (f"cpus {smp}\n{_release(kernel)}\nsystemd\nkvm\n", 0), guest.task()
        guest.power_button()
        print(f"       gone after {guest.seconds():.1f} s", flush=True)
    assert root_is_clean()


def generic_bzimage_with_1_vcpu_boots_to_login(nandu):
    _boots_to_login(nandu, "generic", "vmlinuz", 1)


def cloud_elf_with_4_vcpus_boots_to_login(nandu):
    _boots_to_login(nandu, "cloud", "vmlinux", 4)


def cloud_elf_with_16_vcpus_boots_to_login(nandu):
    _boots_to_login(nandu, "cloud", "vmlinux", 16, "1G")


def cloud_elf_with_16_vcpus_by_split_irqchip_boots_to_login(nandu):
    _boots_to_login(nandu, "cloud", "vmlinux", 16, "1G", ["-machine", "kernel-irqchip=split"])


def generic_elf_and_cloud_bzimage_boot(nandu):
    assert run_task(nandu, "uname -r\n", kernel="generic", image="vmlinux") == _release("generic") + "\n"
    assert run_task(nandu, "uname -r\n", kernel="cloud", image="vmlinuz") == _release("cloud") + "\n"


def a_cpu_is_what_its_model_and_features_say(nandu):
    script = "sed -n 's/^model name.*: //p; s/^flags.*: / /p' /proc/cpuinfo | head -n 2; cat /sys/devices/system/clocksource/clocksource0/current_clocksource\n"
    name, flags, clock = run_task(nandu, script, "-cpu", "qemu64,+ssse3,-sse3").split("\n")[:3]
    assert name == "QEMU Virtual CPU version 2.5+", name
    assert " ssse3 " in flags and " pni " not in flags and " hypervisor " in flags and " avx2 " not in flags, flags
    assert clock == "kvm-clock", clock
    # The second boot also carries what other options tell a guest.
    more = script + "cd /sys/class/dmi/id; cat sys_vendor product_name product_serial board_name chassis_asset_tag bios_version\n" \
                    "cat /sys/class/rtc/rtc0/date; cat /sys/bus/pci/devices/*/device | sort -u | tr '\\n' ' '\n"
    trace = nandu.file("trace")
    lines = run_task(nandu, more, "-cpu", "max", "-smbios", "type=1,manufacturer=oVirt,product=RHEL,serial=S1", "-smbios", "type=2,product=Board",
                     "-smbios", "type=3,asset=Tag", "-smbios", "type=0,version=B1", "-rtc", "base=2031-02-03T04:05:06,driftfix=slew",
                     "-global", "virtio-pci.disable-legacy=on", "-trace", f"run_state,file={trace}").split("\n")
    assert " pni " in lines[1] and " popcnt " in lines[1], lines
    assert lines[3:10] == ["oVirt", "RHEL", "S1", "Board", "Tag", "B1", "2031-02-03"], lines
    assert "0x1042" in lines[10] and "0x1001" not in lines[10], lines
    with open(trace, encoding="ascii") as file:
        assert file.readline() == "run_state prelaunch -> running\n"


GUID = "324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87"
# The address stands in the device's table as Name (VGIA, DWord); the sixteen bytes are 40 behind it (QEMU, docs/specs/vmgenid.txt).
SEE_GENERATION = r"""
for table in /sys/firmware/acpi/tables/SSDT*; do
  case $(od -An -v -tx1 $table | tr -d ' \n') in *08564749410c*) hex=$(od -An -v -tx1 $table | tr -d ' \n') ;; esac
done
hex=${hex#*08564749410c}
address=0x$(echo $hex | sed 's/^\(..\)\(..\)\(..\)\(..\).*/\4\3\2\1/')
for at in 40 48; do devmem $((address + at)) 64; done
"""


def a_guest_reads_its_generation_id(nandu):
    # Debian 12's kernels have no driver for it; a guest's ACPI table says where it is, and its memory what it is.
    lines = run_task(nandu, SEE_GENERATION, "-device", f"vmgenid,guid={GUID}").splitlines()
    assert b"".join(int(line, 16).to_bytes(8, "little") for line in lines) == uuid.UUID(GUID).bytes_le, lines


if __name__ == "__main__":
    run_cases([generic_bzimage_with_1_vcpu_boots_to_login, cloud_elf_with_4_vcpus_boots_to_login, cloud_elf_with_16_vcpus_boots_to_login,
               cloud_elf_with_16_vcpus_by_split_irqchip_boots_to_login,
               generic_elf_and_cloud_bzimage_boot, a_guest_reads_its_generation_id, a_cpu_is_what_its_model_and_features_say])

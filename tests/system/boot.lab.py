"""Stock Debian boots to a login and ends by its power button: both kernels, both ways in, 1 to 16 vCPUs."""

from guest import Guest, path, root_is_clean, run_task
from nandu import run_cases


def _release(kernel):
    with open(path(f"release-{kernel}"), encoding="ascii") as file:
        return file.read().strip()


def _boots_to_login(nandu, kernel, image, smp, memory="512M", words=()):
    with Guest(nandu, *words, root=True, kernel=kernel, image=image, smp=str(smp), memory=memory, after="stay",
               task="echo cpus $(nproc); uname -r; cat /proc/1/comm\n") as guest:
        guest.wait_console(" login: ")
        print(f"       login prompt after {guest.seconds():.1f} s", flush=True)
        assert guest.task() == (f"cpus {smp}\n{_release(kernel)}\nsystemd\n", 0), guest.task()
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
    flags = run_task(nandu, script, "-cpu", "max").split("\n")[1]
    assert " pni " in flags and " popcnt " in flags, flags


if __name__ == "__main__":
    run_cases([generic_bzimage_with_1_vcpu_boots_to_login, cloud_elf_with_4_vcpus_boots_to_login, cloud_elf_with_16_vcpus_boots_to_login,
               cloud_elf_with_16_vcpus_by_split_irqchip_boots_to_login,
               generic_elf_and_cloud_bzimage_boot, a_cpu_is_what_its_model_and_features_say])

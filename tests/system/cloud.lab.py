"""A Debian cloud image boots as it comes, by SeaBIOS and by OVMF, from raw and from qcow2 over a backing file, with its seed on a CD-ROM of either
kind, to the end of cloud-init; and is reached by ssh through a network that needs no root."""

import os
import shutil
import subprocess

import iso9660
from guest import NOBODY, PATIENCE_S, Guest, path
from nandu import run_cases

OVMF = "/usr/share/OVMF"
FINISHED = "Datasource DataSourceNoCloud [seed=/dev/sr0]"


def _seed(guest_directory, key=""):
    user_data = f"#cloud-config\nssh_authorized_keys: [{key}]\n" if key else "#cloud-config\n{}\n"
    image = os.path.join(guest_directory, "seed.iso")
    with open(image, "wb") as file:
        file.write(iso9660.image({"user-data": user_data.encode(), "meta-data": b"instance-id: first\nlocal-hostname: cloudy\n"}, "cidata"))
    return image


def _ends_cloud_init(guest):
    guest.wait_console(FINISHED)
    guest.wait_console("cloudy login:")
    guest.power_button()


def raw_through_seabios_with_a_sata_seed(nandu):
    disk = os.environ["LAB_CLOUD_DISK"]
    with Guest(nandu, "-drive", f"file={disk},format=raw,if=none,id=d,cache=none", "-device", "virtio-blk-pci,drive=d,bootindex=1",
               "-cdrom", _seed(nandu.directory), "-vga", "std", kernel=None, memory="1G", smp="2") as guest:
        _ends_cloud_init(guest)


def qcow2_over_a_backing_file_through_ovmf_with_a_scsi_seed(nandu):
    """Started by nobody, and entered by ssh."""
    base, overlay, variables = nandu.file("base.qcow2"), nandu.file("vm.qcow2"), nandu.file("vars.fd")
    shutil.copy(path("cloud-qcow2"), base)
    shutil.copy(f"{OVMF}/OVMF_VARS_4M.fd", variables)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", overlay, "8G"], check=True)
    key = nandu.file("key")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    with open(key + ".pub", encoding="ascii") as file:
        seed = _seed(nandu.directory, file.read().strip())
    for file in (overlay, variables):
        os.chown(file, NOBODY, NOBODY)
    for file in (base, seed):
        os.chmod(file, 0o444)
    with Guest(nandu, "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={OVMF}/OVMF_CODE_4M.fd",
               "-drive", f"if=pflash,unit=1,format=raw,file={variables}",
               "-drive", f"file={overlay},format=qcow2,if=virtio,discard=unmap", "-device", "virtio-scsi-pci,id=scsi",
               "-drive", f"file={seed},format=raw,if=none,id=seed,media=cdrom", "-device", "scsi-cd,drive=seed",
               "-netdev", "user,id=n,hostfwd=tcp:127.0.0.1:2222-:22", "-device", "virtio-net-pci,netdev=n", "-vga", "std",
               kernel=None, memory="1G", smp="2", as_nobody=True) as guest:
        guest.wait_console(FINISHED)
        run = subprocess.run(["ssh", "-p", "2222", "-i", key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes",
                              "debian@127.0.0.1", "id -un; df --output=size -B1G / | tail -1; cat /sys/firmware/efi/fw_platform_size"],
                             capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert run.returncode == 0, run
        user, gigabytes, efi = run.stdout.split()
        assert user == "debian" and efi == "64" and int(gigabytes) >= 7, run.stdout
        guest.power_button()
    check = subprocess.run(["qemu-img", "check", "-q", overlay], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check


if __name__ == "__main__":
    run_cases([raw_through_seabios_with_a_sata_seed, qcow2_over_a_backing_file_through_ovmf_with_a_scsi_seed])

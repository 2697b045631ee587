"""A Debian cloud image boots as it comes, to the end of cloud-init, and is reached by ssh through a network that needs no root: raw through
SeaBIOS with its seed on an AHCI CD-ROM, and as a qcow2 overlay of the compressed image through OVMF with its seed on a virtio-scsi CD-ROM,
then by a nandu that runs as nobody. Its root grows into the larger overlay."""

import os
import shutil
import subprocess
import time

from guest import Guest, NOBODY, PATIENCE_S, path
from nandu import run_cases

OVMF = "/usr/share/OVMF"
SSH_PORT = 2222
OVERLAY_GIB = 5


def _seed(nandu, name):
    """A NoCloud seed that lets a new key in; gives back the paths of the image and of the key."""
    directory = nandu.file(f"seed-{name}")
    os.mkdir(directory)
    key = nandu.file(f"key-{name}")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    with open(key + ".pub", encoding="ascii") as file:
        public = file.read().strip()
    files = {"meta-data": f"instance-id: {name}\nlocal-hostname: {name}\n",
             "user-data": f"#cloud-config\nssh_authorized_keys:\n- {public}\nruncmd:\n- echo the seed of {name} ran > /var/tmp/seeded\n"}
    for file_name, text in files.items():
        with open(os.path.join(directory, file_name), "w", encoding="ascii") as file:
            file.write(text)
    iso = nandu.file(f"{name}.iso")
    subprocess.run(["genisoimage", "-quiet", "-volid", "cidata", "-joliet", "-rock", "-output", iso, directory], check=True)
    return iso, key


def _ssh(key, command, patience_s):
    return subprocess.run(["ssh", "-q", "-i", key, "-p", str(SSH_PORT), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                           "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "debian@127.0.0.1", command],
                          capture_output=True, text=True, timeout=patience_s, check=False)


def _enter(guest, key, command):
    """Asks until sshd answers: the port is forwarded from the start, the guest listens later."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        answer = _ssh(key, command, PATIENCE_S)
        if answer.returncode != 255:
            return answer
        assert guest.process.poll() is None, "nandu ended"
        assert time.monotonic() < deadline, f"nobody was let in by ssh: {answer}"
        time.sleep(1)


def _boots(nandu, name, words, seed_words, **options):
    iso, key = _seed(nandu, name)
    network = ["-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{SSH_PORT}-:22", "-device", "virtio-net-pci,netdev=net,romfile="]
    seed = ["-blockdev", f"driver=raw,node-name=seed,read-only=on,file.driver=file,file.filename={iso}", *seed_words]
    with Guest(nandu, *words, *network, *seed, kernel=None, memory="1G", **options) as guest:
        guest.wait_console("Linux version")
        print(f"       {name}: the kernel after {guest.seconds():.0f} s", flush=True)
        guest.wait_console(f"{name} login: ")
        print(f"       {name}: login after {guest.seconds():.0f} s", flush=True)
        answer = _enter(guest, key, "cloud-init status --wait; cat /var/tmp/seeded; df --output=size -B1M / | tail -n 1; "
                        "[ -d /sys/firmware/efi ] && echo by UEFI || echo by BIOS; sudo systemctl --failed --no-legend; sudo poweroff")
        print(f"       {name}: cloud-init and ssh after {guest.seconds():.0f} s", flush=True)
        guest.ends_cleanly()
        assert guest.stderr() == "", guest.stderr()
        print(f"       {name}: off after {guest.seconds():.0f} s", flush=True)
    said = answer.stdout.replace(".", "").split("\n")
    assert "status: done" in said, answer
    assert f"the seed of {name} ran" in said, answer
    return said


def raw_by_seabios_with_a_seed_on_ahci(nandu):
    disk = os.environ["LAB_CLOUD_DISK"]
    said = _boots(nandu, "rawhost", ["-drive", f"file={disk},format=raw,if=virtio"], ["-device", "ide-cd,drive=seed"])
    assert "by BIOS" in said, said


def qcow2_by_ovmf_with_a_seed_on_scsi_as_nobody(nandu):
    os.chmod(nandu.directory, 0o711)
    work = nandu.file("work")
    os.mkdir(work)
    base, overlay, variables = (os.path.join(work, name) for name in ("base.qcow2", "overlay.qcow2", "vars.fd"))
    # The cache may be root's alone; over the laboratory's file system direct reads are quick.
    subprocess.run(["dd", f"if={path('cloud-qcow2')}", f"of={base}", "bs=4M", "iflag=direct", "status=none"], check=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", overlay, f"{OVERLAY_GIB}G"], check=True)
    shutil.copy(f"{OVMF}/OVMF_VARS_4M.fd", variables)
    for made in (work, base, overlay, variables):
        os.chown(made, NOBODY, NOBODY)
    said = _boots(nandu, "qcowhost",
                  ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={OVMF}/OVMF_CODE_4M.fd", "-drive", f"if=pflash,unit=1,format=raw,file={variables}",
                   "-drive", f"file={overlay},format=qcow2,if=virtio"],
                  ["-device", "virtio-scsi-pci", "-device", "scsi-cd,drive=seed"], as_nobody=True)
    assert "by UEFI" in said, said
    assert any(line.strip().isdigit() and int(line) > (OVERLAY_GIB - 1) * 1024 for line in said), said
    subprocess.run(["qemu-img", "check", "-q", overlay], check=True)
    assert os.stat(variables).st_size == os.stat(f"{OVMF}/OVMF_VARS_4M.fd").st_size


run_cases([raw_by_seabios_with_a_seed_on_ahci, qcow2_by_ovmf_with_a_seed_on_scsi_as_nobody])

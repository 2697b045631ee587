"""The commands people use, with a guest of one sector that SeaBIOS boots: run, boot-test, ps, console, stop and the rest, what they say when
something is wrong, and what they leave behind."""

import json
import os
import re
import shlex
import signal
import subprocess
import time
import xml.etree.ElementTree

from guest import NESTED
from nandu import Program, run_cases

HERE = os.path.dirname(os.path.abspath(__file__))
SECTOR, TEXT_AT, SIGNATURE_AT = 512, 0x100, 0x1FE
PATIENCE_S = 200 if NESTED else 60
UP = "Welcome to GRUB!\r\n[    0.0] Linux version 6.1\r\nsystemd[1]: Hello.\r\ntiny login: "


def _disk(nandu, name, text=UP):
    """An image whose first sector prints the text."""
    parts, code = nandu.file("disk.o"), nandu.file("disk.bin")
    if not os.path.exists(code):
        subprocess.run(["as", "--32", "-o", parts, os.path.join(HERE, "verbs_disk.S")], check=True)
        subprocess.run(["objcopy", "-O", "binary", "-j", ".text", parts, code], check=True)
    with open(code, "rb") as file:
        sector = bytearray(file.read().ljust(SECTOR, b"\0"))
    assert not any(sector[TEXT_AT:]), "the code reaches its text"
    words = text.encode() + b"\0"
    assert TEXT_AT + len(words) <= SIGNATURE_AT
    sector[TEXT_AT : TEXT_AT + len(words)] = words
    sector[SIGNATURE_AT:] = b"\x55\xaa"
    path = nandu.file(name)
    with open(path, "wb") as file:
        file.write(sector)
        file.truncate(1 << 20)
    return path


def _verb(nandu, *words, timeout=PATIENCE_S, **options):
    """With places of this test's own for running VMs, their state and what is temporary."""
    os.makedirs(nandu.file("tmp"), exist_ok=True)
    environment = {**os.environ, "XDG_RUNTIME_DIR": nandu.directory, "XDG_STATE_HOME": nandu.file("state"), "TMPDIR": nandu.file("tmp")}
    return nandu.run(*words, env=environment, timeout=timeout, **options)


def _refused(nandu, sentence, *words, status=1):
    result = _verb(nandu, *words)
    assert result.returncode == status, result
    assert result.stdout == "" and len(result.stderr.strip().splitlines()) == 1 and sentence in result.stderr, result


def _small(*words):
    return [*words, "--memory", "64M", "--cpus", "1", "--net", "none"]


def _boot_test(nandu, *words, **options):
    return _verb(nandu, *_small("boot-test", *words), **options)


def an_image_that_boots_passes(nandu):
    disk = _disk(nandu, "up.raw")
    with open(disk, "rb") as file:
        before = file.read()
    files = {kind: nandu.file(f"out.{kind}") for kind in ("xml", "log", "png", "json", "svg")}
    result = _boot_test(nandu, disk, "--junit", files["xml"], "--log", files["log"], "--screenshot", files["png"], "--timeline", files["json"])
    assert result.returncode == 0 and re.fullmatch(r"ok +\S+up\.raw \(\d+\.\d s\): a login prompt\n", result.stdout), result
    assert result.stderr == "", result.stderr
    suite = xml.etree.ElementTree.parse(files["xml"]).getroot()
    assert (suite.tag, suite.attrib["tests"], suite.attrib["failures"]) == ("testsuite", "1", "0"), suite.attrib
    assert "tiny login:" in suite.find("testcase/system-out").text
    with open(files["log"], encoding="utf-8", newline="") as file:
        assert UP in file.read()
    with open(files["png"], "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"
    with open(files["json"], encoding="utf-8") as file:
        timeline = json.load(file)
    assert [stage["stage"] for stage in timeline["stages"]] == ["firmware", "boot loader", "kernel", "init", "login"], timeline
    assert timeline["passed"] and timeline["stages"][0]["begin-ms"] == 0 and timeline["stages"][-1]["end-ms"] == timeline["ended-ms"], timeline
    result = _boot_test(nandu, disk, "--timeline", files["svg"])
    drawing = xml.etree.ElementTree.parse(files["svg"]).getroot()
    assert len(drawing.findall("{http://www.w3.org/2000/svg}rect")) == 6, "a bar for each stage, and the background"
    with open(disk, "rb") as file:
        assert file.read() == before, "a test writes to no image"
    assert os.listdir(nandu.file("tmp")) == [], "a test leaves nothing behind"


def what_is_wrong_is_the_reason(nandu):
    panic = "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n"
    emergency = "Linux version 6\r\n[FAILED] Failed to mount /data.\r\nYou are in emergency mode. After logging in, type\r\n"
    cases = {
        "panic.raw": ("Linux version 6\r\n" + panic, r"kernel panic: VFS: Unable to mount root fs on unknown-block\(0,0\)"),
        "emergency.raw": (emergency, r"init gave up and went to emergency mode: \[FAILED\] Failed to mount /data\."),
        "rescue.raw": ("error: no such partition.\r\nEntering rescue mode...\r\ngrub rescue> ", r"the boot loader is broken, GRUB is in its rescue shell: error: no such partition\."),
        "hung.raw": ("Linux version 6\r\nsystemd[1]: Starting forever.\r\n", r"no sign of a login prompt within 8 s, after init; the last line: systemd\[1\]: Starting forever\."),
    }
    disks = [_disk(nandu, name, text) for name, (text, _) in cases.items()]
    empty = nandu.file("empty.raw")
    with open(empty, "wb") as file:
        file.truncate(1 << 20)
    cases["empty.raw"] = ("", r"the firmware found nothing to boot: no disk of it has a boot loader")
    junit = nandu.file("all.xml")
    limit = "80" if NESTED else "8"
    result = _boot_test(nandu, *disks, empty, "--timeout", limit, "--jobs", "2", "--junit", junit, "--log", nandu.file("{}.log"))
    assert result.returncode == 1, result
    for name, (text, reason) in cases.items():
        reason = reason.replace("within 8", f"within {limit}")
        assert re.search(rf"^FAILED +\S+{re.escape(name)} \(\d+\.\d s\): {reason}$", result.stdout, re.M), (name, result.stdout)
        with open(nandu.file(name.replace(".raw", ".log")), encoding="utf-8", newline="") as file:
            assert text.split("\r\n")[0].strip() in file.read(), name
    suite = xml.etree.ElementTree.parse(junit).getroot()
    assert suite.attrib["failures"] == "5" and len(suite.findall("testcase/failure")) == 5


def the_expected_text_is_enough(nandu):
    disk = _disk(nandu, "says.raw", "Linux version 6\r\nready: 42\r\n")
    assert _boot_test(nandu, disk, "--expect", "ready: [0-9]+$").returncode == 0
    result = _boot_test(nandu, disk, "--expect", "ready: [a-z]+$", "--timeout", "60" if NESTED else "5")
    assert result.returncode == 1 and "no sign of the expected text" in result.stdout, result
    _refused(nandu, "--expect '('", *_small("boot-test", disk, "--expect", "("), status=2)


def a_vm_in_the_background_is_found_by_its_name(nandu):
    disk = _disk(nandu, "tiny.raw")
    started = _verb(nandu, *_small("run", disk, "--name", "web", "--detach"))
    assert started.returncode == 0 and "nandu console web" in started.stderr, started
    (line,) = _verb(nandu, "ps").stdout.splitlines()[1:]
    assert line.split()[:2] == ["web", "running"] and line.endswith(disk), line
    (vm,) = json.loads(_verb(nandu, "ps", "--json").stdout)
    assert vm["status"] == "running" and vm["pid"] > 0 and vm["cpus"] == 1, vm
    _refused(nandu, "a VM named 'web' is running", *_small("run", disk, "--name", "web", "--ephemeral"))
    _refused(nandu, "(did you mean 'web'?)", "pause", "wep")

    assert _verb(nandu, "pause", "web").returncode == 0
    assert json.loads(_verb(nandu, "ps", "--json").stdout)[0]["status"] == "paused"
    assert _verb(nandu, "resume", "web").returncode == 0
    info = _verb(nandu, "info", "web").stdout
    assert re.search(r"^state +running$", info, re.M) and re.search(r"^memory +64M$", info, re.M) and re.search(r"^cpus +1$", info, re.M), info

    picture = nandu.file("web.png")
    assert _verb(nandu, "screenshot", "web", picture).returncode == 0
    with open(picture, "rb") as file:
        assert file.read(4) == b"\x89PNG"
    _refused(nandu, "a .png or a .ppm file", "screenshot", "web", nandu.file("web.jpg"))
    assert json.loads(_verb(nandu, "qmp", "web", "query-status").stdout)["running"] is True
    assert json.loads(_verb(nandu, "qmp", "web", '{"execute":"query-name"}').stdout) == {"return": {"name": "web"}}
    wrong = _verb(nandu, "qmp", "web", '{"execute":"query-nothing"}')
    assert wrong.returncode == 1 and "CommandNotFound" in wrong.stdout, wrong

    console = subprocess.Popen([nandu.path, "console", "web"], env={**os.environ, "XDG_RUNTIME_DIR": nandu.directory}, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    console.stdin.write(b"echo")
    console.stdin.flush()
    seen = b""
    while b"echo" not in seen:
        byte = console.stdout.read(1)
        assert byte, seen
        seen += byte
    stopped = _verb(nandu, "stop", "web")
    assert stopped.returncode == 0, stopped
    assert b"closed its console" in console.communicate(timeout=PATIENCE_S)[1]
    assert _verb(nandu, "ps").stdout.splitlines()[1:] == []
    _refused(nandu, "no VM named 'web' is running", "stop", "web")
    assert os.listdir(nandu.file("nandu")) == [], "nothing is left of it"


def _lives(pid):
    """Until its last thread is gone, and its files with it."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z" or len(os.listdir(f"/proc/{pid}/task")) > 1
    except FileNotFoundError:
        return False


def a_killed_vm_is_gone_from_the_list(nandu):
    disk = _disk(nandu, "killed.raw", "deaf")
    for _ in range(2):
        started = _verb(nandu, *_small("run", disk, "--detach"))
        assert started.returncode == 0, started
        (vm,) = json.loads(_verb(nandu, "ps", "--json").stdout)
        assert vm["name"] == "killed", vm
        os.kill(vm["pid"], signal.SIGKILL)
        while _lives(vm["pid"]):
            time.sleep(0.02)
    assert json.loads(_verb(nandu, "ps", "--json").stdout) == []
    assert _verb(nandu, *_small("run", disk, "--detach")).returncode == 0
    assert _verb(nandu, "stop", "killed", "--force").returncode == 0
    assert os.listdir(nandu.file("nandu")) == []


def a_vm_on_this_terminal_runs_to_its_end(nandu):
    disk = _disk(nandu, "here.raw")
    process = subprocess.Popen([nandu.path, *_small("run", disk, "--ssh-key", "ssh-ed25519 AAAA me")], env={**os.environ, "XDG_RUNTIME_DIR": nandu.directory},
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    nandu.processes.append(process)
    seen = b""
    while b"tiny login: " not in seen:
        byte = process.stdout.read(1)
        assert byte, (seen, process.stderr.read())
        seen += byte
    assert "is on the terminal it was started from" in _verb(nandu, "console", "here").stderr
    assert os.path.getsize(nandu.file("nandu/here/seed.iso")) > 0
    assert _verb(nandu, "stop", "here").returncode == 0
    assert process.wait(timeout=PATIENCE_S) == 0, process.stderr.read()
    assert os.listdir(nandu.file("nandu")) == []


def the_printed_command_does_the_same(nandu):
    disk = _disk(nandu, "it's, mine.raw")
    printed = _verb(nandu, *_small("run", disk, "--user", "me", "--password", "p'w", "--print"))
    assert printed.returncode == 0 and "wrote the seed" in printed.stderr, printed
    words = shlex.split(printed.stdout)
    assert words[0] == "nandu" and "-daemonize" not in words, words
    seed = nandu.file("it-s--mine-seed.iso")
    user = subprocess.run(["isoinfo", "-J", "-x", "/user-data", "-i", seed], check=True, capture_output=True, text=True).stdout
    assert user.startswith("#cloud-config\n"), user
    data = json.loads(user.split("\n", 1)[1])
    assert data["users"][1]["name"] == "me" and data["users"][1]["plain_text_passwd"] == "p'w" and data["ssh_pwauth"] is True, data
    meta = json.loads(subprocess.run(["isoinfo", "-J", "-x", "/meta-data", "-i", seed], check=True, capture_output=True, text=True).stdout)
    assert meta == {"instance-id": "nandu-it-s--mine", "local-hostname": "it-s--mine"}, meta
    assert subprocess.run(["blkid", "-o", "value", "-s", "LABEL", seed], check=True, capture_output=True, text=True).stdout == "cidata\n"
    process = Program(nandu.path, nandu.directory).start(*words[1:], "-no-reboot", stdin=subprocess.PIPE)
    nandu.processes.append(process)
    seen = b""
    while b"tiny login: " not in seen:
        byte = process.stdout.read(1)
        assert byte, seen
        seen += byte
    process.stdin.write(b"\x01x")
    process.stdin.flush()
    assert process.wait(timeout=PATIENCE_S) == 0


def the_embedding_example_drives_a_vm(nandu):
    disk = _disk(nandu, "embedded.raw")
    directory = nandu.file("bin")
    os.mkdir(directory)
    os.symlink(nandu.path, os.path.join(directory, "nandu"))
    os.symlink(os.path.join(os.path.dirname(nandu.path), "modules"), os.path.join(directory, "modules"))
    example = os.path.join(HERE, "..", "..", "examples", "embedding", "boot.py")
    process = subprocess.Popen(["python3", "-u", example, disk], env={**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    nandu.processes.append(process)
    said = ""
    while "'running': True" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    assert said.startswith("Enter powers it off.\ngreeting: "), said
    rest, _ = process.communicate("\n", timeout=PATIENCE_S)  # the button stays pressed until the guest is up to look
    assert "event: " in rest and "'POWERDOWN'" in rest and "it ended with status 0" in rest, rest


def wrong_words_are_sentences(nandu):
    disk = _disk(nandu, "fine.raw")
    _refused(nandu, "cannot open", *_small("run", nandu.file("absent.raw")))
    _refused(nandu, "is a directory", *_small("run", nandu.directory))
    vmdk, forged = nandu.file("a.vmdk"), nandu.file("forged.raw")
    with open(vmdk, "wb") as file:
        file.write(b"KDMV".ljust(4096, b"\0"))
    _refused(nandu, "qemu-img convert -O qcow2", *_small("run", vmdk))
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw", forged, "1M"], check=True)
    _refused(nandu, "a guest may have written that to a raw disk", *_small("run", forged))
    _refused(nandu, "a guest may have written that to a raw disk", *_small("run", disk, "--disk", forged))
    assert "/etc/shadow" not in _verb(nandu, *_small("run", forged, "--format", "raw", "--print")).stdout
    _refused(nandu, "--net wifi: it is user, tap:NAME or none", "run", disk, "--net", "wifi")
    _refused(nandu, "--ssh and --forward belong to --net user", *_small("run", disk, "--ssh", "2222"))
    _refused(nandu, "--forward 80: say HOST:GUEST", "run", disk, "--forward", "80")
    _refused(nandu, "give one of them", *_small("run", disk, "--uefi", "--kernel", "/vmlinuz"))
    _refused(nandu, "--initrd and --append belong to a kernel", *_small("run", disk, "--append", "quiet"))
    _refused(nandu, "is no name for a VM", *_small("run", disk, "--name", "a/b"))
    _refused(nandu, "holds no public key", *_small("run", disk, "--ssh-key", "/dev/null"))
    _refused(nandu, "has no file user-data", *_small("run", disk, "--cloud-init", nandu.directory))
    _refused(nandu, "write {} where the image's name goes", "boot-test", disk, disk, "--log", "x.log", status=2)
    _refused(nandu, "it is a .json or a .svg file", "boot-test", disk, "--timeline", "x.txt", status=2)
    result = _verb(nandu, "boot-test", nandu.file("absent.raw"))
    assert result.returncode == 2 and "cannot open" in result.stderr, result
    unknown = _verb(nandu, "run", disk, "--memry", "1G")
    assert unknown.returncode not in (0, 1) and "--memry" in unknown.stderr, unknown
    for verb in ("run", "boot-test", "qmp"):
        help_text = _verb(nandu, verb, "--help")
        assert help_text.returncode == 0 and f"nandu {verb} " in help_text.stdout and "Examples:" in help_text.stdout, help_text
    assert os.listdir(nandu.file("nandu")) in ([], ["fine"]), os.listdir(nandu.file("nandu"))


if __name__ == "__main__":
    run_cases([an_image_that_boots_passes, what_is_wrong_is_the_reason, the_expected_text_is_enough, a_vm_in_the_background_is_found_by_its_name,
               a_killed_vm_is_gone_from_the_list, a_vm_on_this_terminal_runs_to_its_end, the_printed_command_does_the_same, the_embedding_example_drives_a_vm, wrong_words_are_sentences])

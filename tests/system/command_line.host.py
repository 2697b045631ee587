"""The command line against QEMU 7.2's own lists: no option and no device is missing, and what is not served says why. Needs no KVM."""

import os
import re
import subprocess

import generated_docs
from nandu import run_cases

QEMU = "qemu-system-x86_64"
TESTS = os.path.join(generated_docs.ROOT, "tests")


def _qemu(*words):
    return subprocess.run([QEMU, *words], capture_output=True, text=True, check=True, timeout=30, stdin=subprocess.DEVNULL).stdout


def _qemus_options():
    """Name -> whether it takes a value, of every option in QEMU's help."""
    options = {}
    for line in _qemu("-help").splitlines():
        if not (line.startswith("-") or line.startswith("--")) or line.startswith("-action "):
            continue
        words = re.split(r"\s{2,}|\t", line)[0].split(" ")
        names = [name for word in words if word != "or" for name in word.split("/") if re.fullmatch(r"--?[A-Za-z][\w-]*", name)]
        rest = [word for word in words if word != "or" and not re.fullmatch(r"(--?[A-Za-z][\w-]*/?)+", word)]
        for name in names:
            options[name.lstrip("-")] = bool(rest)
    options.update({"action": True, "dtb": True, "async-teardown": False})  # lines of other shapes
    return options


def _our_options(nandu):
    """Name -> (state, reason)."""
    rows = {}
    for line in nandu.run("options").stdout.splitlines():
        state, name, *text = line.split(None, 2)
        rows[name[1:]] = (state, text[0] if text else "")
    return rows


def _our_devices(nandu):
    rows = {}
    for line in nandu.run("devices").stdout.splitlines():
        state, name, *text = line.split(None, 2)
        assert name not in rows, f"{name} is there twice"
        rows[name] = (state, text[0] if text else "")
    return rows


def _qemus_devices():
    names = set()
    for line in _qemu("-device", "help").splitlines():
        names.update(re.findall(r'(?:name|alias) "([^"]+)"', line))
    assert len(names) > 350, len(names)
    return names


def _is_refused(nandu, words, sentence):
    result = nandu.run(*words)
    lines = result.stderr.splitlines()
    assert result.returncode == 1 and len(lines) == 1, (words, result.returncode, result.stderr)
    assert sentence in lines[0], (words, lines[0], sentence)
    assert result.seconds < 1, (words, result.seconds)
    assert not result.stdout, (words, result.stdout)


def every_option_of_qemus_help_is_there(nandu):
    ours, theirs = _our_options(nandu), _qemus_options()
    assert len(theirs) > 110, sorted(theirs)
    assert not set(theirs) - set(ours), sorted(set(theirs) - set(ours))
    # What QEMU takes and does not list, each seen to be an option of it.
    for name in sorted(set(ours) - set(theirs)):
        answer = subprocess.run([QEMU, "-" + name], capture_output=True, text=True, check=False, timeout=30, stdin=subprocess.DEVNULL).stderr
        assert "requires an argument" in answer, (name, answer)


def options_take_a_value_where_qemus_do(nandu):
    for name, takes_value in _qemus_options().items():
        if name not in ("h", "help", "version"):
            words = ["-" + name] if takes_value else ["-" + name, "-no-such-option"]
            expected = f"option '-{name}' needs an argument" if takes_value else "unknown option '-no-such-option'"
            assert expected in nandu.run(*words).stderr, (name, nandu.run(*words).stderr)


def every_option_that_is_not_served_says_why(nandu):
    theirs = _qemus_options()
    count = 0
    for name, (state, reason) in _our_options(nandu).items():
        if state == "works":
            continue
        count += 1
        assert len(reason) > 15 and ("waits for" in reason) == (state == "planned"), (name, state, reason)
        word = "not served yet" if state == "planned" else "refused"
        _is_refused(nandu, ["-" + name] + (["x"] if theirs.get(name, True) else []), f"option '-{name}' is {word}: {reason}")
    assert count > 20, count


def every_device_of_qemus_list_is_there(nandu):
    ours, theirs = _our_devices(nandu), _qemus_devices()
    patterns = [name[1:] for name in ours if name.startswith("*")]
    missing = [name for name in theirs if name not in ours and not name.endswith(tuple(patterns))]
    assert not missing, sorted(missing)
    invented = [name for name in ours if not name.startswith("*") and name not in theirs]
    assert not invented, invented


def devices_work_or_say_why(nandu):
    names = re.findall(r'(?:name|alias) "([^"]+)"', nandu.run("-device", "help").stdout)
    working = sorted(name for name, (state, _) in _our_devices(nandu).items() if state == "works")
    assert sorted(names) == working, "-device help and the list of devices disagree: a device that begins to work moves to a row of its own"
    for name, (state, reason) in _our_devices(nandu).items():
        if state == "works":
            continue
        assert len(reason) > 15 and (state == "refused" or "waits for" in reason), (name, state, reason)
        word = "not served yet" if state == "planned" else "refused"
        driver = name.replace("*", "host")
        _is_refused(nandu, ["-M", "q35", "-nodefaults", "-device", driver], f"device '{driver}' is {word}: {reason}")


def documents_are_what_the_program_says(nandu):
    for name, text in generated_docs.expected(nandu.path).items():
        assert generated_docs.read(name) == text, f"{name} is stale; run scripts/update-docs"


def _test_exists(name):
    if name.startswith("unit_"):
        _, suite, case = name.split(".")
        pattern = re.compile(rf"^TEST(_F|_P)?\({suite}, {case}\)", re.M)
        paths = [os.path.join(at, file) for at, _, files in os.walk(os.path.join(TESTS, "unit")) for file in files]
    else:
        file, kind, case = name.split(".")
        pattern = re.compile(rf"^def {case}\(", re.M)
        paths = [os.path.join(TESTS, "system", f"{file}.{kind}.py")]
    for path in paths:
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                if pattern.search(file.read()):
                    return True
    return False


def tests_that_the_lists_name_exist(nandu):
    named = []
    for words in (("options", "--markdown"), ("devices", "--markdown")):
        for line in nandu.run(*words).stdout.splitlines():
            if "| works |" in line:
                named.append(line.rstrip(" |").split("|")[-1].strip().strip("`"))
    assert len(named) > 50, named
    missing = [name for name in named if not _test_exists(name)]
    assert not missing, missing


def messages_begin_as_asked_for(nandu):
    # A VM that cannot be made says one sentence, whether this host has KVM or not.
    words = ["-M", "q35", "-nodefaults", "-display", "none", "-name", "little vm", "-bios", "absent"]
    for msg, pattern in (("timestamp=on", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z nandu: .*absent.*\n"),
                         ("timestamp=on,guest-name=on", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z little vm nandu: .*absent.*\n"),
                         ("guest-name=on", r"little vm nandu: .*absent.*\n"), ("guest-name=off", r"nandu: .*absent.*\n")):
        result = nandu.run(*words, "-msg", msg)
        assert result.returncode == 1 and re.fullmatch(pattern, result.stderr), (msg, result.stderr)


def help_answers(nandu):
    for words, needle in ((["-help"], "usage: nandu"), (["-version"], "nandu version"), (["-machine", "help"], "pc-q35-7.2"),
                          (["-accel", "help"], "kvm"), (["-cpu", "help"], "x86 EPYC-Milan"), (["-device", "help"], 'name "virtio-blk-pci"'),
                          (["-device", "virtio-blk-pci,help"], "serial="), (["-object", "help"], "iothread"), (["-object", "iothread,help"], "iothread options:"),
                          (["-chardev", "help"], "socket"), (["-netdev", "help"], "tap"), (["-M", "q35,help"], "hpet="), (["-enable-kvm", "-display", "help"], "none"),
                          (["-audiodev", "help"], "none"), (["-vga", "help"], "none"), (["-nic", "model=help"], "virtio-net-pci"), (["-d", "help"], "guest_errors"),
                          (["-trace", "help"], "lifecycle_phase")):
        result = nandu.run(*words)
        assert result.returncode == 0 and needle in result.stdout and not result.stderr, (words, result)
        assert result.seconds < 1, (words, result.seconds)


if __name__ == "__main__":
    run_cases([every_option_of_qemus_help_is_there, options_take_a_value_where_qemus_do, every_option_that_is_not_served_says_why,
               every_device_of_qemus_list_is_there, devices_work_or_say_why, documents_are_what_the_program_says, tests_that_the_lists_name_exist,
               messages_begin_as_asked_for, help_answers])

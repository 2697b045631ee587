"""What an installation holds: the .deb's files and dependencies, the manual page, completion; and what the binary brings along."""

import os
import re
import socket
import subprocess

from nandu import run_cases


def deb_holds_binary_manual_and_completion(nandu):
    build = os.path.dirname(nandu.path)
    subprocess.run(["cpack", "-B", nandu.directory], cwd=build, check=True, capture_output=True, timeout=120)
    (deb,) = [name for name in os.listdir(nandu.directory) if name.endswith(".deb")]
    path = nandu.file(deb)
    listing = subprocess.run(["dpkg-deb", "--contents", path], capture_output=True, text=True, check=True).stdout
    for name in ("./usr/bin/nandu", "./usr/share/man/man1/nandu.1", "./usr/share/bash-completion/completions/nandu",
                 "./usr/share/zsh/vendor-completions/_nandu", "./usr/share/fish/vendor_completions.d/nandu.fish", "./usr/share/doc/nandu/LICENSE", "/nandu/slirp.so",
                 "/nandu/archive.so"):
        assert name in listing, (name, listing)
    depends = subprocess.run(["dpkg-deb", "--field", path, "Depends"], capture_output=True, text=True, check=True).stdout
    assert [word.split()[0] for word in depends.split(",")] == ["libarchive13", "libc6", "libslirp0"], depends
    target = nandu.file("root")
    subprocess.run(["dpkg-deb", "--extract", path, target], check=True)
    version = subprocess.run([os.path.join(target, "usr/bin/nandu"), "-version"], capture_output=True, text=True, check=True).stdout
    assert version.startswith("nandu version"), version
    # An installation finds its modules wherever it was put: this gets as far as the port, which is taken.
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = subprocess.run([os.path.join(target, "usr/bin/nandu"), "-nodefaults", "-display", "none", "-netdev",
                                  f"user,id=n,hostfwd=tcp:127.0.0.1:{port}-:22"], capture_output=True, text=True, timeout=20, check=False)
        assert refused.returncode == 1 and f"cannot forward tcp:127.0.0.1:{port}" in refused.stderr, refused


def manual_page_is_well_formed(nandu):
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "nandu.1")
    page = subprocess.run(["man", "--warnings", "-l", source], capture_output=True, text=True, check=True, env={**os.environ, "MANWIDTH": "100", "PAGER": "cat"})
    assert not page.stderr and "SYNOPSIS" in page.stdout, page.stderr


def completion_is_valid_bash(nandu):
    script = nandu.run("completion", "bash").stdout
    check = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stderr
    words = subprocess.run(["bash", "-c", f"{script}\nCOMP_WORDS=(nandu -ker); COMP_CWORD=1; _nandu; echo ${{COMPREPLY[@]}}"],
                           capture_output=True, text=True, check=True).stdout
    assert words.split() == ["-kernel"], words
    words = subprocess.run(["bash", "-c", f"{script}\nCOMP_WORDS=(nandu run --cl); COMP_CWORD=2; _nandu; echo ${{COMPREPLY[@]}}; "
                            "COMP_WORDS=(nandu bo); COMP_CWORD=1; _nandu; echo ${COMPREPLY[@]}"], capture_output=True, text=True, check=True).stdout
    assert words.split() == ["--cloud-init", "boot-test"], words


def binary_is_lean(nandu):
    libraries = subprocess.run(["ldd", nandu.path], capture_output=True, text=True, check=True).stdout
    names = sorted(line.split()[0] for line in libraries.splitlines())
    assert [n for n in names if not n.startswith(("linux-vdso", "/lib64/ld-linux"))] in (["libc.so.6"], ["libc.so.6", "libm.so.6"]), names


def little_runs_before_main(nandu):
    # Nine of libstdc++, the compiler's own, and one each that the headers of CLI11, Asio and Boost.JSON bring; none is nandu's.
    known = 13
    sections = subprocess.run(["readelf", "-SW", nandu.path], capture_output=True, text=True, check=True).stdout
    size = int(re.search(r"\.init_array +INIT_ARRAY +\w+ +\w+ +(\w+)", sections)[1], 16)
    assert size // 8 <= known, f"{size // 8} static constructors; find the new one among the _GLOBAL__sub_I symbols of nm"


if __name__ == "__main__":
    run_cases([deb_holds_binary_manual_and_completion, manual_page_is_well_formed, completion_is_valid_bash, binary_is_lean, little_runs_before_main])

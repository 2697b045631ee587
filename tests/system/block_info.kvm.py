"""What monitors tell of images, field by field as QEMU 7.2 does: chains of backing files, snapshots and what qcow2 says of itself."""

import difflib
import json
import os
import subprocess

from nandu import Program, Qmp, run_cases

IMAGES = {  # in the order they are made; {name} is the file of an earlier one
    "base.raw": ["-f", "raw"],
    "old.qcow2": ["-f", "qcow2", "-o", "compat=0.10", "-b", "base.raw", "-F", "raw"],
    "top.qcow2": ["-f", "qcow2", "-b", "old.qcow2", "-F", "qcow2"],
    "kinds.qcow2": ["-f", "qcow2", "-o", "extended_l2=on,lazy_refcounts=on,compression_type=zstd,refcount_bits=64,cluster_size=16k"],
    "data.qcow2": ["-f", "qcow2", "-o", "data_file=outside.raw,data_file_raw=on"],
}


def _without_made_up_names(value):
    if isinstance(value, dict):
        return {key: "#" if key == "node-name" and str(entry).startswith("#") else _without_made_up_names(entry) for key, entry in value.items()}
    return [_without_made_up_names(entry) for entry in value] if isinstance(value, list) else value


def _told(nandu, program, words):
    """query-block, and the nodes in an order of their own: QEMU's is that of their making."""
    socket = nandu.file(f"{os.path.basename(program)}.qmp")
    process = Program(program, nandu.directory).start("-M", "q35", "-accel", "kvm", "-cpu", "qemu64", "-m", "64M", "-nodefaults", "-display", "none", "-S",
                                                      "-qmp", f"unix:{socket},server=on,wait=off", *words, stderr=subprocess.DEVNULL)
    nandu.processes.append(process)
    qmp = Qmp(socket, 60, process)
    answers = {"query-block": qmp.command("query-block")["return"]}
    for name, arguments in (("nodes", {}), ("flat", {"flat": True}), ("deep", {"flat": False})):
        nodes = _without_made_up_names(qmp.command("query-named-block-nodes", **arguments)["return"])
        answers[name] = sorted(nodes, key=lambda node: json.dumps(node, sort_keys=True))
    qmp.command("quit")
    process.wait(timeout=60)
    return _without_made_up_names(answers)


def images_are_told_as_qemu_tells_them(nandu):
    for name, words in IMAGES.items():
        subprocess.run(["qemu-img", "create", "-q", *words, name, "4M"], check=True, cwd=nandu.directory)
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write 1M 300k", "top.qcow2"], check=True, cwd=nandu.directory, stdout=subprocess.DEVNULL)
    for snapshot in ("first", "second"):
        subprocess.run(["qemu-img", "snapshot", "-c", snapshot, "top.qcow2"], check=True, cwd=nandu.directory)
    words = ["-drive", "file=top.qcow2,format=qcow2,if=none,id=chain,cache=unsafe", "-device", "virtio-blk-pci,drive=chain,id=disk",
             "-drive", "file=kinds.qcow2,format=qcow2,if=none,id=kinds,detect-zeroes=on", "-drive", "file=data.qcow2,format=qcow2,if=none,id=data,readonly=on",
             "-blockdev", "driver=qcow2,node-name=alone,file.driver=file,file.filename=old.qcow2,file.node-name=below,read-only=on",
             "-drive", f"file={nandu.file('base.raw')},format=raw,if=none,id=plain,readonly=on"]
    ours, theirs = (_told(nandu, program, words) for program in (nandu.path, "qemu-system-x86_64"))
    for what, wanted in theirs.items():
        texts = [json.dumps(value, indent=1, sort_keys=True).splitlines() for value in (wanted, ours[what])]
        assert texts[0] == texts[1], "\n".join(difflib.unified_diff(*texts, f"QEMU's {what}", "ours", n=8, lineterm=""))
    chain = ours["query-block"][0]["inserted"]
    assert chain["backing_file_depth"] == 2 and len(chain["image"]["snapshots"]) == 2, chain


run_cases([images_are_told_as_qemu_tells_them])

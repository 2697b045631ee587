"""qcow2 against qemu-img both ways: what it makes is read right, and what nandu writes it calls clean and reads alike. Needs no KVM."""

import json
import os
import random
import shutil
import subprocess

from nandu import run_cases

MIB = 1 << 20
DISK = 24 * MIB + 512 * 13


class _Lab:
    """A directory of images, qemu-img, and the tool that is nandu's qcow2 without a VM."""

    def __init__(self, nandu):
        self.nandu = nandu
        self.tool_path = os.path.join(os.path.dirname(nandu.path), "tests", "qcow2_tool")

    def path(self, name):
        return self.nandu.file(name)

    def img(self, *words, ok=(0,)):
        done = subprocess.run(["qemu-img", *words], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode in ok, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def io(self, image, *commands, options=()):
        words = [word for command in commands for word in ("-c", command)]
        done = subprocess.run(["qemu-io", *options, "-f", "qcow2", *words, image], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0 and "rror" not in done.stdout + done.stderr, (commands, done.stdout, done.stderr)

    def tool(self, *words, **environment):
        done = subprocess.run([self.tool_path, *words], capture_output=True, text=True, timeout=120, check=False,
                              env={**os.environ, "QCOW2_cache": "unsafe", **environment})  # a disk that is slow today changes nothing here
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def raw(self, name, size, seed):
        path = self.path(name)
        generator = random.Random(seed)
        with open(path, "wb") as file:
            file.truncate(size)
            for _ in range(40):
                file.seek(generator.randrange(0, size - 70000) // 512 * 512)
                file.write(generator.randbytes(generator.randrange(1, 130) * 512))
        return path

    def check_clean(self, image, leaks=False):
        """What qemu-img check says; leaks only where allowed."""
        report = json.loads(self.img("check", "--output=json", "-f", "qcow2", image, ok=(0, 3) if leaks else (0,)))
        assert not report.get("corruptions") and not report.get("check-errors"), report
        ours = self.tool("check", image).split()
        assert ours[0] == "0" and (leaks or ours[1] == "0"), ours

    def same(self, image, raw):
        """qemu-img and nandu read the same disk, and it is `raw`."""
        self.img("compare", "-f", "qcow2", "-F", "raw", image, raw)
        dump = self.path("dump.raw")
        self.tool("dump", image, dump)
        assert os.path.getsize(dump) == os.path.getsize(raw)
        self.img("compare", "-f", "raw", "-F", "raw", dump, raw)


# What qemu-img is asked to make: options, and whether there is a backing file.
FEATURES = {
    "plain": ([], None),
    "version 2": (["compat=0.10"], None),
    "version 2 over a backing file": (["compat=0.10"], "raw"),
    "small clusters": (["cluster_size=512"], None),
    "large clusters": (["cluster_size=2M"], None),
    "over raw": ([], "raw"),
    "over qcow2": ([], "qcow2"),
    "1-bit refcounts": (["refcount_bits=1"], None),
    "64-bit refcounts": (["refcount_bits=64", "cluster_size=1k"], None),
    "lazy refcounts": (["lazy_refcounts=on"], None),
    "extended L2": (["extended_l2=on"], None),
    "extended L2 over raw": (["extended_l2=on", "cluster_size=16k"], "raw"),
    "metadata preallocated": (["preallocation=metadata"], None),
    "all preallocated": (["preallocation=full", "cluster_size=4k"], None),
    "data file": (["data_file=@DATA@"], None),
    "raw data file": (["data_file=@DATA@", "data_file_raw=on"], None),
    "data file and extended L2": (["data_file=@DATA@", "extended_l2=on"], None),
}


def _make(lab, name, options, backing):
    image = lab.path(name.replace(" ", "-") + ".qcow2")
    options = ",".join(options).replace("@DATA@", image + ".data")
    words = ["create", "-q", "-f", "qcow2"] + (["-o", options] if options else [])
    if backing:
        base = lab.raw(name.replace(" ", "-") + ".base", 15 * MIB + 512, seed=name)
        if backing == "qcow2":
            lab.img("convert", "-f", "raw", "-O", "qcow2", base, base + ".qcow2")
            base += ".qcow2"
        words += ["-b", os.path.basename(base), "-F", backing]  # relative to the image
    lab.img(*words, image, str(DISK))
    return image


def every_feature_is_read_and_written(nandu):
    lab = _Lab(nandu)
    for seed, (name, (options, backing)) in enumerate(FEATURES.items()):
        image, truth = _make(lab, name, options, backing), lab.path("truth.raw")
        # QEMU writes first, then nandu at random, then QEMU again on what nandu left.
        lab.io(image, "write -P 17 1M 300k", "write -P 18 5000k 1k", "write -z 2M 128k", "discard 1100k 64k", "write -P 19 16M 3M")
        lab.img("convert", "-f", "qcow2", "-O", "raw", image, truth)
        lab.same(image, truth)
        lab.tool("work", image, str(seed), "150", truth)
        lab.check_clean(image)
        lab.same(image, truth)
        lab.io(image, "write -P 20 3M 1M", "write -z 10M 1M")
        lab.img("convert", "-f", "qcow2", "-O", "raw", image, truth)
        lab.check_clean(image)
        lab.same(image, truth)
        print(f"       {name}: alike", flush=True)


def what_nandu_makes_qemu_img_takes(nandu):
    lab = _Lab(nandu)
    base = lab.raw("base.raw", 9 * MIB, seed="base")
    makes = {
        "plain": [], "v2": ["version=2"], "small": ["cluster_bits=9"], "large": ["cluster_bits=21"], "ext": ["extended_l2=1"],
        "refcounts": ["refcount_order=0"], "wide": ["refcount_order=6", "cluster_bits=9"], "zstd": ["zstd=1"], "lazy": ["lazy=1"],
        "overlay": ["backing=" + base, "backing_fmt=raw"],
        "data": ["data_file=" + lab.path("made.data")],
    }
    for seed, (name, options) in enumerate(makes.items()):
        image, truth = lab.path(name + ".made"), lab.path("made.raw")
        if name == "data":
            with open(lab.path("made.data"), "wb"):
                pass
        lab.tool("create", image, str(DISK), *options)
        lab.check_clean(image)
        lab.tool("work", image, str(seed), "150", truth)
        lab.check_clean(image)
        lab.same(image, truth)
        if name == "zstd":
            assert json.loads(lab.img("info", "--output=json", image))["format-specific"]["data"]["compression-type"] == "zstd"


def compressed_clusters(nandu):
    lab = _Lab(nandu)
    for kind in ("zlib", "zstd"):
        for cluster in ("64k", "512", "2M"):
            source, image = lab.raw(f"{kind}-{cluster}.source", 8 * MIB, seed=kind), lab.path(f"{kind}-{cluster}.qcow2")
            with open(source, "r+b") as file:
                file.seek(2 * MIB)
                file.write(b"the same words again " * 50000)
            lab.img("convert", "-c", "-f", "raw", "-O", "qcow2", "-o", f"compression_type={kind},cluster_size={cluster}", source, image)
            lab.same(image, source)
            truth = lab.path("compressed.raw")
            lab.tool("work", image, "5", "80", truth)
            lab.check_clean(image)
            lab.same(image, truth)


def maps_alike(nandu):
    """The same writes leave the same map, where neither has a choice."""
    lab = _Lab(nandu)
    image, truth = lab.path("mapped.qcow2"), lab.path("mapped.raw")
    lab.tool("create", image, str(DISK))
    lab.tool("work", image, "3", "40", truth)
    for entry in json.loads(lab.img("map", "--output=json", "-f", "qcow2", image)):
        with open(truth, "rb") as file:
            file.seek(entry["start"])
            data = file.read(entry["length"])
        assert entry["data"] or not data.strip(b"\0"), ("the map calls this zero", entry)


def internal_snapshots(nandu):
    lab = _Lab(nandu)
    for options in ([], ["compat=0.10"], ["extended_l2=on"], ["cluster_size=512"]):
        image = _make(lab, "snapshots " + ",".join(options), options, None)
        truths = {}
        for step, who in enumerate(("nandu", "qemu", "nandu")):
            truths[step] = lab.path(f"snapshot{step}.raw")
            lab.tool("work", image, str(step), "60", truths[step])
            if who == "nandu":
                lab.tool("snapshot", image, "create", f"s{step}")
            else:
                lab.img("snapshot", "-c", f"s{step}", image)
            lab.check_clean(image)
        last = lab.path("snapshot-last.raw")
        lab.tool("work", image, "9", "60", last)
        lab.check_clean(image)
        lab.same(image, last)
        listed = lab.img("snapshot", "-l", image)
        assert all(f"s{step}" in listed for step in truths), listed
        lab.img("snapshot", "-d", "s0", image)
        lab.tool("snapshot", image, "apply", "s1")
        lab.check_clean(image)
        lab.same(image, truths[1])
        lab.tool("snapshot", image, "delete", "s1")
        lab.check_clean(image)
        lab.img("snapshot", "-a", "s2", image)
        lab.same(image, truths[2])
        lab.tool("work", image, "10", "60", last)
        lab.tool("snapshot", image, "delete", "s2")
        lab.check_clean(image)
        lab.same(image, last)


def resized_both_ways(nandu):
    lab = _Lab(nandu)
    image, truth = _make(lab, "resized", [], "raw"), lab.path("resized.raw")
    lab.tool("work", image, "1", "60", truth)
    for size in (DISK + 7 * MIB, 10 * MIB + 512, 16 * MIB, 600 * MIB, 2 * MIB):
        lab.tool("resize", image, str(size))
        with open(truth, "r+b") as file:
            file.truncate(size)
        lab.check_clean(image)
        lab.same(image, truth)
    lab.img("resize", "-f", "qcow2", image, str(5 * MIB))
    with open(truth, "r+b") as file:
        file.truncate(5 * MIB)
    lab.same(image, truth)


def bitmaps_are_not_believed_after_a_write(nandu):
    lab = _Lab(nandu)
    image = _make(lab, "bitmaps", [], None)
    lab.img("bitmap", "--add", "-f", "qcow2", image, "since")
    lab.check_clean(image)
    lab.tool("dump", image, lab.path("bitmaps.raw"))
    assert "since" in lab.img("info", image)
    lab.tool("work", image, "4", "40", lab.path("bitmaps.raw"))
    # The bitmap's clusters are nobody's for who does not believe it: a leak for qemu-img, never a reuse.
    lab.check_clean(image, leaks=True)
    lab.same(image, lab.path("bitmaps.raw"))


POWER_CUTS = int(os.environ.get("NANDU_POWER_CUTS", "1000"))
CUT_FEATURES = (["cluster_bits=12"], ["cluster_bits=9"], ["cluster_bits=12", "backing=below", "backing_fmt=raw"], ["version=2", "cluster_bits=12"],
                ["extended_l2=1", "cluster_bits=14"], ["refcount_order=6", "cluster_bits=12"], ["lazy=1", "cluster_bits=12"])


def power_cuts_leave_no_corruption(nandu):
    """Images as a cut leaves them at a random write of a random workload, checked by qemu-img: leaks at most. scripts/power-cuts makes more."""
    lab = _Lab(nandu)
    leaks = 0
    for number, features in enumerate(CUT_FEATURES):
        directory = nandu.file(f"cuts{number}")
        os.mkdir(directory)
        count = -(-POWER_CUTS // len(CUT_FEATURES))
        lab.tool("cuts", directory, str(1000 + number), str(count), str(1 << 20), *features)
        for cut in range(count):
            image = os.path.join(directory, f"{cut}.qcow2")
            if "lazy=1" in features:
                # Its counts are true once somebody opened it to write; what must hold is that they can be.
                lab.img("check", "-q", "-r", "all", image)
            report = json.loads(lab.img("check", "--output=json", "-f", "qcow2", image, ok=(0, 2, 3)))
            assert not report.get("corruptions") and not report.get("check-errors"), (features, cut, report)
            leaks += "leaks" in report
        shutil.rmtree(directory)
    print(f"       {count * len(CUT_FEATURES)} cuts, {leaks} left leaks, none corruption", flush=True)


def images_are_locked_both_ways(nandu):
    lab = _Lab(nandu)
    image = _make(lab, "locked", [], None)
    with subprocess.Popen(["qemu-io", "-f", "qcow2", image], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        holder.stdin.write("read 0 512\n")
        holder.stdin.flush()
        while "read" not in holder.stdout.readline():
            pass
        done = subprocess.run([lab.tool_path, "work", image, "1", "1", lab.path("x")], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1 and "lock" in done.stderr, done
        holder.stdin.close()
    lab.tool("work", image, "1", "5", lab.path("x"))


if __name__ == "__main__":
    run_cases([every_feature_is_read_and_written, what_nandu_makes_qemu_img_takes, compressed_clusters, maps_alike, internal_snapshots, power_cuts_leave_no_corruption,
              resized_both_ways, bitmaps_are_not_believed_after_a_write, images_are_locked_both_ways])

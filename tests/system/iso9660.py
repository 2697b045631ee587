"""A small ISO 9660 image (ECMA-119, level 1: one directory, names of 8.3), for tests: no tool that makes one is needed."""

import struct

BLOCK = 2048


def _both(value, code):
    """A number in both byte orders, as the standard has most of its numbers."""
    return struct.pack("<" + code, value) + struct.pack(">" + code, value)


def _record(name, block, size, directory):
    identifier = name if isinstance(name, bytes) else (name.upper() + ";1").encode()
    body = (b"\0" + _both(block, "I") + _both(size, "I") + bytes([120, 1, 1, 0, 0, 0, 0]) + bytes([2 if directory else 0, 0, 0]) + _both(1, "H")
            + bytes([len(identifier)]) + identifier + (b"\0" if len(identifier) % 2 == 0 else b""))
    return bytes([len(body) + 1]) + body


def _padded(data):
    return data + bytes(-len(data) % BLOCK)


def image(files, label="NANDU"):
    """The bytes of an image with these files: a dictionary of name and content."""
    root, first = 20, 21  # after the system area, two descriptors and two path tables
    entries, content, at = b"", b"", first
    for name, data in sorted(files.items()):
        entries += _record(name, at, len(data), False)
        content += _padded(data)
        at += len(_padded(data)) // BLOCK
    directory = _padded(_record(b"\0", root, BLOCK, True) + _record(b"\1", root, BLOCK, True) + entries)
    assert len(directory) == BLOCK, "one block of names is enough for a test"

    def table(order):
        return struct.pack(order + "BBIH", 1, 0, root, 1) + b"\0\0"

    def text(value, length):
        return value.encode().ljust(length)

    date = b"2024010100000000\0"
    descriptor = (b"\1CD001\1\0" + text("LINUX", 32) + text(label, 32) + bytes(8) + _both(at, "I") + bytes(32) + _both(1, "H") + _both(1, "H")
                  + _both(BLOCK, "H") + _both(len(table("<")), "I") + struct.pack("<II", 18, 0) + struct.pack(">II", 19, 0)
                  + _record(b"\0", root, BLOCK, True) + text("", 128 * 4) + text("", 37 * 3) + date * 4 + b"\1\0")
    return bytes(16 * BLOCK) + _padded(descriptor) + _padded(b"\xffCD001\1") + _padded(table("<")) + _padded(table(">")) + directory + content

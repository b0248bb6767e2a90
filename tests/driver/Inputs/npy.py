"""npy.py make FILE SHAPE [DTYPE] - seeded numbers; npy.py same A B [BOUND] - equal shapes and numbers;
npy.py header FILE TEXT [DATA-BYTES] - a file with this header."""
import struct
import sys

import numpy as np


def make(path, shape, dtype="float32"):
    dims = [int(n) for n in shape.split("x")]
    numbers = np.random.default_rng(1).normal(size=dims)
    if np.dtype(dtype).kind in "iu":
        numbers = np.abs(numbers) * 20
    with open(path, "wb") as f:
        np.save(f, numbers.astype(dtype))


def same(a, b, bound="0"):
    x, y = np.load(a), np.load(b)
    if x.shape != y.shape:
        sys.exit(f"shapes differ: {x.shape} and {y.shape}")
    worst = np.abs(x.astype(float) - y.astype(float)).max()
    if not worst <= float(bound):
        sys.exit(f"numbers differ by {worst}")


def header(path, text, data="0"):
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode() + bytes(int(data)))


if __name__ == "__main__":
    {"make": make, "same": same, "header": header}[sys.argv[1]](*sys.argv[2:])

#!/usr/bin/python3
"""Fashion-MNIST as numpy arrays, resized as torch.nn.functional.interpolate does it.

    models/fashion_mnist.py --size 224 --out DIR [--split test] [--limit N]

writes DIR/images.npy (float32 [N, 1, 224, 224], pixels scaled to 0..1) and DIR/labels.npy
(int32 [N]). The images come from Debian's package dataset-fashion-mnist. Needs numpy only.
"""

import argparse
import gzip
import os
import sys

import numpy as np

DATA = "/usr/share/datasets/fashion-mnist"
PREFIX = {"train": "train", "test": "t10k"}
CLASSES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
           "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
CHUNK = 250


def read_idx(path):
    """Read a gzipped idx file of unsigned bytes."""
    with gzip.open(path, "rb") as file:
        data = file.read()
    if data[:3] != b"\0\0\x08":
        raise ValueError(f"{path}: not an idx file of unsigned bytes")
    rank = data[3]
    shape = np.frombuffer(data, ">i4", rank, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def load(split, folder=DATA):
    """Return images (uint8 [N, 28, 28]) and labels (uint8 [N]) of "train" or "test"."""
    prefix = os.path.join(folder, PREFIX[split])
    return (read_idx(prefix + "-images-idx3-ubyte.gz"),
            read_idx(prefix + "-labels-idx1-ubyte.gz"))


def resize_matrix(size_in, size_out):
    """The [size_out, size_in] matrix of a bilinear resize along one axis.

    Sample i lies at (i + 0.5) * size_in / size_out - 0.5, clamped at both ends: what torch calls
    mode="bilinear", align_corners=False, without antialiasing. Positions are rounded to float32,
    as torch has them.
    """
    matrix = np.zeros((size_out, size_in), np.float32)
    scale = np.float32(size_in / size_out)
    for i in range(size_out):
        at = max(scale * np.float32(i + 0.5) - np.float32(0.5), np.float32(0))
        low = min(int(at), size_in - 1)
        high = min(low + 1, size_in - 1)
        matrix[i, low] += 1.0 - (at - low)
        matrix[i, high] += at - low
    return matrix


def resize(images, size):
    """uint8 [N, H, W] to float32 [N, 1, size, size], pixels scaled to 0..1."""
    pixels = images.astype(np.float32) / np.float32(255)
    rows = resize_matrix(images.shape[1], size)
    columns = resize_matrix(images.shape[2], size)
    return (rows @ (pixels @ columns.T))[:, None]


def export(images, labels, size, folder):
    """Write images.npy and labels.npy; the files appear whole or not at all."""
    os.makedirs(folder, exist_ok=True)
    paths = [os.path.join(folder, name) for name in ("images.npy", "labels.npy")]
    partial = [path + ".partial" for path in paths]
    count = len(images)
    out = np.lib.format.open_memmap(partial[0], mode="w+", dtype=np.float32,
                                    shape=(count, 1, size, size))
    for begin in range(0, count, CHUNK):
        out[begin:begin + CHUNK] = resize(images[begin:begin + CHUNK], size)
    out.flush()
    del out
    with open(partial[1], "wb") as file:
        np.save(file, labels.astype(np.int32))
    for source, target in zip(partial, paths):
        os.replace(source, target)


def main():
    parser = argparse.ArgumentParser(description="Write Fashion-MNIST as .npy files.")
    parser.add_argument("--size", type=int, default=28, help="height and width (default 28)")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--split", choices=sorted(PREFIX), default="test")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images")
    parser.add_argument("--data", default=DATA, metavar="DIR", help="folder of the idx files")
    args = parser.parse_args()
    if args.size < 1 or (args.limit is not None and args.limit < 1):
        parser.error("--size and --limit must be at least 1")

    try:
        images, labels = load(args.split, args.data)
        export(images[:args.limit], labels[:args.limit], args.size, args.out)
    except OSError as error:
        path = str(error.filename or args.out)
        hint = " (apt install dataset-fashion-mnist)" if path.startswith(args.data) else ""
        print(f"{path}: {error.strerror}{hint}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())

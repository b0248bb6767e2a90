"""Inverted residuals: a 1x1 convolution that widens and the depthwise one that reads it, as one node.

Fused and apart they give the same bits under --fp exact, on every target those of c99; in every other way of
building them they are within the rounding of PyTorch in double. The shapes are those that hurt: channels that
fill no vector, planes of one row, windows wider than the plane, strides and dilations, several images."""
import os
import re
import sys
import tempfile

import numpy as np
import torch
from torch.nn import functional as F

from cases import U
from kiln_model import KILN, Counts, Model, build_and_run, run, targets

# name: images, channels of the input, rows, columns; wide channels, kernel, padding, strides, dilations
BLOCKS = {
    "plain": ((1, 16, 14, 14), 96, (3, 3), (1, 1, 1, 1), (1, 1), (1, 1)),
    "strided": ((2, 24, 15, 13), 48, (3, 3), (1, 1, 1, 1), (2, 2), (1, 1)),
    "before": ((1, 8, 17, 29), 40, (5, 5), (1, 2, 2, 1), (2, 1), (1, 1)),
    "odd": ((3, 5, 7, 11), 37, (3, 5), (0, 3, 1, 0), (3, 2), (1, 1)),
    "dilated": ((1, 33, 19, 9), 34, (3, 3), (2, 3, 2, 3), (1, 1), (2, 3)),
    "narrow": ((5, 3, 1, 31), 16, (1, 7), (0, 3, 0, 3), (1, 1), (1, 1)),
    "wide_window": ((1, 17, 4, 3), 32, (7, 7), (3, 3, 3, 3), (1, 1), (1, 1)),
    "blocks": ((1, 40, 9, 10), 48, (3, 3), (1, 1, 1, 1), (1, 1), (1, 1)),
    "part_block": ((2, 9, 8, 7), 32, (3, 3), (1, 1, 1, 1), (2, 2), (1, 1)),
    "none_around": ((2, 20, 9, 10), 50, (2, 3), (0, 0, 0, 0), (1, 2), (1, 1)),
}
ACTIVATIONS = {"relu": F.relu, "relu6": F.relu6, "hard_swish": F.hardswish, "silu": F.silu}


def add_block(model, random, name, block):
    """One with a slope for each wide channel, two activations and a residual sum: inputs, what is wanted, and
    within which part of its deviation."""
    shape, wide, kernel, padding, strides, dilations = block
    x = random.standard_normal(shape).astype(np.float32)
    model.input(name, shape)

    def number(*dims):
        return random.standard_normal(dims).astype(np.float32) / np.sqrt(np.prod(dims[1:]) or 1)

    w1, b1, w2, b2 = number(wide, shape[1], 1, 1), number(wide), number(wide, 1, *kernel), number(wide)
    slope = random.uniform(0.1, 0.9, wide).astype(np.float32)
    first, second = random.choice(list(ACTIVATIONS), 2)
    read = name
    if "block" in name:  # a convolution that leaves it as it is: its result lies in blocks, the last one not full
        same = np.eye(shape[1], dtype=np.float32)[:, :, None, None]
        read = model.node(f"{name}_same", "conv2d", [name], {"weight": same})
    model.node(f"{name}_wide", "conv2d", [read], {"weight": w1, "bias": b1})
    model.node(f"{name}_slope", "prelu", [f"{name}_wide"], {"slope": slope})
    model.node(f"{name}_a", first, [f"{name}_slope"])
    model.node(f"{name}_deep", "conv2d", [f"{name}_a"], {"weight": w2, "bias": b2}, groups=wide,
               padding=list(padding), strides=list(strides), dilations=list(dilations))
    model.node(f"{name}_b", second, [f"{name}_deep"])
    t = [torch.from_numpy(a).double() for a in (x, w1, b1, w2, b2)]
    top, left, bottom, right = padding
    want = ACTIVATIONS[first](F.prelu(F.conv2d(t[0], t[1], t[2]), torch.from_numpy(slope).double()))
    want = F.conv2d(F.pad(want, (left, right, top, bottom)), t[3], t[4], strides, 0, dilations, wide)
    want = ACTIVATIONS[second](want)
    rest = random.standard_normal(want.shape).astype(np.float32)
    model.input(f"{name}_rest", want.shape)
    model.node(f"{name}_y", "add", [f"{name}_b", f"{name}_rest"])
    model.output(f"{name}_y")
    want = want + torch.from_numpy(rest).double()
    return {name: x, f"{name}_rest": rest}, want.numpy(), 8 * U * np.sqrt(shape[1] + np.prod(kernel) + 64)


def fused(path, target, *options):
    """Names of the nodes that make what they read."""
    text = run([KILN, "compile", path, "--target", target, "--emit", "graph", *options])
    return set(re.findall(r"%(\w+)_y\S* = conv2d\(conv2d\(", text))


WAYS = [["--weights", "file"], ["--store", "f16"], ["--pack", "start"], ["--threads", "3", "--arena", "caller"],
        ["--fp", "fast"]]


def check_target(target, path, x, want, exact, folder, counts):
    counts.check(f"{target}: all blocks are one node", fused(path, target) == set(BLOCKS))
    for options in [], ["--disable-pass", "fuse-depthwise"], ["--threads", "2"]:
        got = build_and_run(path, x, folder, target, "--fp", "exact", *options)
        for name in want:
            same = got[name].tobytes() == exact[name].tobytes() and np.ptp(got[name]) > 0
            counts.check(f"{target} exact {name} {' '.join(options)}: other bits than c99, apart", same)
    for options in WAYS:
        got = build_and_run(path, x, folder, target, *options)
        for name, (y, bound) in want.items():
            bound = 2e-3 if "f16" in options else bound
            error = np.abs(got[name] - y).max() / y.std()
            counts.check(f"{target} {name} {' '.join(options)}: error {error:.3g}, bound {bound:.3g}", error <= bound)


def main():
    counts, random, model = Counts(), np.random.default_rng(23), Model("inverted")
    x, want = {}, {}
    for name, block in BLOCKS.items():
        inputs, y, bound = add_block(model, random, name, block)
        x.update(inputs)
        want[f"{name}_y"] = y, bound
    with tempfile.TemporaryDirectory(prefix="kiln-inverted-") as folder:
        path = model.write(folder)
        exact = build_and_run(path, x, folder, "c99", "--fp", "exact", "--disable-pass", "fuse-depthwise")
        for target in targets():
            check_target(target, path, x, want, exact, folder, counts)
    print(f"{counts.passed} passed, {counts.failed} failed")
    sys.exit(counts.failed != 0)


if __name__ == "__main__":
    main()

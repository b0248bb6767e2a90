#!/usr/bin/env python3
"""1x1 convolutions by Winograd's inner product, laid down by a schedule file, on every target with vectors, against
PyTorch in double. One, two or no vectors of channels beside the triples; strides, single pixels, several images, several
blocks, zeros around what is stored; weights laid out at start and work shared by threads make no bit of difference.

Sums of x and w are as exact as the larger of the two, so a result may be off by what is measured by the largest channel
of its pixel. Pixels differ in size by many powers of two, are zero or hold what is no number: none of that is seen in the
pixels beside them."""
import json
import os
import sys
import tempfile

import numpy as np
import torch

from cases import Case, Maker, d, sum_bound
from kiln_model import Counts, Model, build_and_run
from strassen import padded
from winograd import check_cases, with_vectors

# images and channels of the input, rows and columns, channels of the output; strides
SHAPES = {
    "triples": ((1, 96, 6, 9), 80, (1, 1), ("residual", "relu")),
    "one_left": ((2, 64, 5, 12), 64, (1, 1), ("scale", "residual")),
    "two_left": ((1, 80, 7, 7), 24, (1, 1), ("relu",)),
    "strided": ((1, 48, 8, 13), 192, (2, 2), ("relu",)),
    "uneven": ((2, 48, 7, 9), 33, (3, 2), ("sigmoid",)),
    "pixels": ((3, 144, 1, 1), 40, (1, 1), ()),
    "many": ((1, 1024, 14, 14), 64, (1, 1), ("residual", "relu")),
    "tall": ((2, 512, 26, 15), 64, (1, 1), ()),
    "wide": ((1, 2048, 3, 61), 32, (1, 1), ()),
    "padded_rows": ((1, 64, 6, 9), 96, (1, 1), ("residual", "relu")),
}


def by_pixel(case):
    """The largest bound among the channels of each pixel."""
    case.layer_bound = np.broadcast_to(case.bound.max(axis=1, keepdims=True), case.want.shape)
    return case


def sizes(maker):
    """Pixels from 2^-120 to 2^120, some of them zero; weights of 2^-5."""
    size = np.exp2(maker.rng.integers(-120, 121, (2, 1, 9, 11))).astype(np.float32)
    size[maker.rng.random(size.shape) < 0.1] = 0
    x, w = maker.array(2, 112, 9, 11) * size, maker.array(72, 112, 1, 1, scale=2.0**-5)
    want, most = [torch.nn.functional.conv2d(f(d(x)), f(d(w))) for f in (lambda t: t, torch.abs)]
    return Case("sizes", {"sizes_x": x},
                lambda m: m.node("sizes", "conv2d", [m.input("sizes_x", x)], {"weight": w}), want, sum_bound(most, 112))


def cases(maker):
    for name, (x, o, strides, then) in SHAPES.items():
        case = by_pixel(maker.conv(name, x, o, (1, 1), strides, then=then))
        if name.startswith("padded"):
            padded(case)
        yield case
    yield by_pixel(sizes(maker))


def check_strangers(target, folder, counts):
    """Infinities and NaN in one pixel: the others are the same bits as without."""
    random, model = np.random.default_rng(41), Model("strangers")
    x = random.standard_normal((1, 96, 4, 5)).astype(np.float32)
    w = random.standard_normal((48, 96, 1, 1)).astype(np.float32)
    model.output(model.node("y", "conv2d", [model.input("x", x)], {"weight": w}))
    path, schedule = model.write(folder), os.path.join(folder, "strangers.json.schedule")
    with open(schedule, "w") as f:
        json.dump({"y": {"inner": 1}}, f)
    plain = build_and_run(path, {"x": x}, folder, target, "--schedule", schedule)["y"]
    for stranger in np.inf, -np.inf, np.nan:
        other = x.copy()
        other[0, 17, 2, 3] = stranger
        got = build_and_run(path, {"x": other}, folder, target, "--schedule", schedule)["y"]
        here = np.zeros((4, 5), bool)
        here[2, 3] = True
        counts.check(f"{target}: {stranger} is seen beside its pixel",
                     got[..., ~here].tobytes() == plain[..., ~here].tobytes())
        counts.check(f"{target}: {stranger} is not seen", not np.isfinite(got[..., here]).any())


def main():
    counts, made = Counts(), list(cases(Maker(43)))
    ways = [["--pack", "start"], ["--pack", "build", "--threads", "3"]]
    check_cases("inner", Model("inner"), made, [{"inner": 1}] * len(made), ways, ways[1:], counts)
    with tempfile.TemporaryDirectory(prefix="kiln-inner-") as folder:
        check_strangers(with_vectors()[0], folder, counts)
    print(f"{counts.passed} passed, {counts.failed} failed")
    sys.exit(counts.failed != 0)


if __name__ == "__main__":
    main()

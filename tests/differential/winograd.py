#!/usr/bin/env python3
"""Convolutions by Winograd's method: every filter and tile that kiln has, each laid down by a schedule file, on every
target with vectors, against PyTorch in double. Images no tile fits, channels no vector does, padding of one side,
several images; and the weights transformed at start, or the work shared by threads, make no bit of difference."""
import json
import os
import sys
import tempfile

import numpy as np

from cases import Maker
from kiln_model import KILN, Counts, Model, build_and_run, run, targets
from ops import check

# filter, stride: tiles
TILES = {(3, 1): (2, 4, 6), (5, 1): (2, 4), (3, 2): (2,), (5, 2): (2,), (7, 2): (2,)}

# images and channels of the input, rows and columns, channels of the output; rows and columns of padding
SHAPES = {
    "odd": ((1, 16, 13, 17), 32, (1, 1, 1, 1), ("relu",)),
    "tails": ((2, 29, 9, 24), 45, (0, 2, 1, 0), ("scale", "residual")),
    "rows": ((1, 48, 7, 71), 16, (2, 0, 3, 1), ("residual", "relu")),
    "small": ((5, 32, 7, 7), 48, (1, 0, 0, 1), ()),
}


class Blocked(Model):
    """A model whose images pass through a convolution first that leaves them as they are: its output lies in blocks
    of channels even where the last of them is not full."""

    def input(self, name, array_or_shape):
        super().input(name, array_or_shape)
        if not name.endswith("_x"):
            return name
        same = np.eye(array_or_shape.shape[1], dtype=np.float32)[:, :, None, None]
        return self.node(name + "_blocks", "conv2d", [name], {"weight": same})


def cases(maker):
    """(case, tile) of each."""
    for (k, stride), tiles in TILES.items():
        for tile in tiles:
            for name, (x, o, pad, then) in SHAPES.items():
                name = f"k{k}_s{stride}_t{tile}_{name}"
                yield maker.conv(name, x, o, (k, k), (stride, stride), pad, then=then), tile


WAYS = [["--pack", "start"], ["--threads", "3"]]


def check_target(target, path, schedule, inputs, made, outputs, ways, folder, counts, algorithm):
    """All `made` on a target: computed so, within their bounds, and `ways` of running them to the same bits."""
    options = ["--schedule", schedule]
    graph = run([KILN, "compile", path, "--target", target, *options, "--pack", "build", "--emit", "graph"])
    counts.check(f"{target}: not all by {algorithm}", graph.count(f" by {algorithm} ") == len(made))
    got = build_and_run(path, inputs, folder, target, *options, "--pack", "build")
    for case, key in zip(made, outputs):
        wrong = check(case, got[key], case.layer_bound)
        counts.check(f"{target} {case.name}: {wrong}", not wrong)
    for way in ways:
        other = build_and_run(path, inputs, folder, target, *options, *way)
        for key in outputs:
            counts.check(f"{target} {key} {' '.join(way)}: other bits", got[key].tobytes() == other[key].tobytes())


def check_cases(algorithm, model, made, members, ways, other_ways, counts):
    """Cases computed by an algorithm, as a schedule file with `members` of each asks, on every target with vectors: the
    first of them in all of `ways`, the others in `other_ways`."""
    outputs = [case.add(model) for case in made]
    model.output(*outputs)
    inputs = {k: v for case in made for k, v in case.inputs.items()}
    with tempfile.TemporaryDirectory(prefix=f"kiln-{algorithm}-") as folder:
        path, schedule = model.write(folder), os.path.join(folder, "schedule.json")
        with open(schedule, "w") as f:
            json.dump({case.name: m for case, m in zip(made, members)}, f)
        for i, target in enumerate(with_vectors()):
            check_target(target, path, schedule, inputs, made, outputs, other_ways if i else ways, folder, counts,
                         algorithm)


def with_vectors():
    return [t for t in targets() if t != "c99"]


def main():
    counts = Counts()
    made = list(cases(Maker(31)))
    check_cases("winograd", Blocked("winograd"), [case for case, _ in made], [{"winograd": tile} for _, tile in made],
                WAYS, [], counts)
    print(f"{counts.passed} passed, {counts.failed} failed")
    sys.exit(counts.failed != 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""1x1 convolutions by Strassen's algorithm, laid down by a schedule file, on every target with vectors, against PyTorch
in double. Pixels that halve by rows, by columns, or one after the other, of an odd number too; zeros around what is
stored; several images and several blocks; and sharing the work among threads makes no bit of difference.

Channels are added to each other, so what a result may be off by is measured by the largest: by the largest bound of a
direct sum of the layer."""
import sys

import numpy as np

from cases import Maker
from kiln_model import Counts, Model
from winograd import check_cases

# images and channels of the input, rows and columns, channels of the output; strides
SHAPES = {
    "rows": ((1, 64, 6, 9), 96, (1, 1), ("residual", "relu")),
    "columns": ((2, 32, 5, 12), 64, (2, 2), ("scale", "residual")),
    "odd": ((1, 96, 7, 7), 32, (1, 1), ("residual", "relu")),
    "one_row": ((3, 32, 1, 11), 64, (1, 1), ("residual",)),
    "one_column": ((1, 32, 9, 1), 160, (1, 1), ("sigmoid",)),
    "strided": ((1, 32, 8, 13), 192, (2, 2), ("relu",)),
    "many": ((1, 1024, 14, 14), 64, (1, 1), ("residual", "relu")),
    "tall": ((2, 512, 26, 15), 64, (1, 1), ()),
    "padded_rows": ((1, 64, 6, 9), 96, (1, 1), ("residual", "relu")),
    "padded_columns": ((2, 32, 5, 8), 64, (1, 1), ("residual",)),
}


def padded(case):
    """The same, and a convolution behind it that leaves the result as it is, but wants zeros around it."""
    add, channels = case.add, case.want.shape[1]
    same = np.zeros((channels, 1, 3, 3), np.float32)
    same[:, :, 1, 1] = 1

    def add_both(model):
        return model.node(case.name + "_same", "conv2d", [add(model)], {"weight": same}, padding=[1, 1, 1, 1],
                          groups=channels)
    case.add = add_both


def cases(maker):
    for name, (x, o, strides, then) in SHAPES.items():
        case = maker.conv(name, x, o, (1, 1), strides, then=then)
        case.layer_bound = np.full(case.want.shape, case.bound.max())
        if name.startswith("padded"):
            padded(case)
        yield case


def main():
    counts, made, ways = Counts(), list(cases(Maker(37))), [["--pack", "build", "--threads", "3"]]
    check_cases("strassen", Model("strassen"), made, [{"strassen": 1}] * len(made), ways, ways, counts)
    print(f"{counts.passed} passed, {counts.failed} failed")
    sys.exit(counts.failed != 0)


if __name__ == "__main__":
    main()

"""--fp fast on targets that sum products of bf16, in pairs or as matrices, against --fp exact of c99.

Whole numbers below 256 are numbers of bf16, and sums of their products are exact in f32, in any order: so both
give the same bits. Each branch makes such numbers and sums their products, in a shape chosen to hurt."""
import json
import os
import re
import sys
import tempfile

import numpy as np

from kiln_model import KILN, Counts, Model, build_and_run, run

TARGETS = "x86-avx512-bf16", "x86-amx"

# channels made and summed, outputs; attributes of the convolution. Multiplied in bf16: all.
PAIRS = {
    "plain": (16, 16, (1, 1), {}),
    "odd": (17, 33, (1, 1), {}),
    "two": (2, 5, (1, 1), {}),
    "three": (3, 16, (3, 3), {"padding": [1, 1, 1, 1]}),
    "seven": (5, 7, (3, 3), {"strides": [2, 2], "padding": [0, 1, 2, 1]}),
    "five": (31, 15, (5, 5), {"padding": [2, 2, 2, 2]}),
    "even": (32, 64, (2, 2), {"strides": [2, 2]}),
    "skips": (48, 16, (1, 1), {"strides": [3, 2]}),
    "row": (15, 40, (1, 6), {"padding": [0, 3, 0, 2]}),
    "wide": (33, 47, (2, 3), {"dilations": [3, 2], "padding": [3, 0, 0, 2]}),
}

# ... and what stays f32: one channel makes no pair, groups are not cut.
SINGLES = {
    "one": (1, 16, (3, 3), {}),
    "groups": (16, 16, (1, 1), {"groups": 4}),
    "depthwise": (19, 19, (3, 3), {"groups": 19, "padding": [1, 1, 1, 1]}),
}


def whole(random, *shape, most=9):
    return random.integers(-most, most + 1, shape).astype(np.float32)


def branch(model, random, stem, made, sums, kernel, attrs, pool=False):
    """Numbers of at most 6 * 9 + 9 are made, and rectified; some are summed."""
    few = np.zeros((made, 6, 1, 1), np.float32)
    for row in few:
        row[random.integers(0, 6, 3)] = random.integers(-2, 3)
    value = model.node(stem + "_make", "conv2d", ["x"], {"weight": few, "bias": whole(random, made)})
    value = model.node(stem + "_in", "relu", [value])
    if pool:
        value = model.node(stem + "_pool", "max_pool", [value], kernel=[2, 2])
    weight = whole(random, sums, made // attrs.get("groups", 1), *kernel)
    model.output(model.node(stem, "conv2d", [value], {"weight": weight, "bias": whole(random, sums)}, **attrs))
    return value


def network(random):
    model = Model("fast")
    model.input("x", (2, 6, 13, 11))
    for stem, case in {**PAIRS, **SINGLES}.items():
        branch(model, random, stem, *case)
    branch(model, random, "pooled", 20, 18, (3, 3), {"padding": [1, 1, 1, 1]}, pool=True)
    shared = branch(model, random, "shared", 18, 16, (1, 1), {})
    model.output(model.node("also", "conv2d", [shared], {"weight": whole(random, 9, 18, 2, 2)}))
    beside = branch(model, random, "beside", 64, 64, (1, 1), {})
    model.output(model.node("rest", "add", ["beside", beside]))
    flat = model.node("flat", "flatten", ["x"])
    few = np.zeros((37, 6 * 13 * 11), np.float32)
    few[:, ::97] = whole(random, *few[:, ::97].shape, most=1)
    flat = model.node("hidden", "linear", [flat], {"weight": few})
    model.output(model.node("last", "linear", [flat], {"weight": whole(random, 50, 37)}))
    return model


def rounded(path, schedule, target):
    """Names of the values that are kept in bf16; those of copies end in #. Each is made alone, so that it has its name."""
    text = run([KILN, "compile", path, "--target", target, "--fp", "fast", "--schedule", schedule, "--disable-pass",
                "fuse-siblings", "--emit", "graph"])
    return set(re.findall(r"%(\w+#?)\d* = .*: bf16\[", text))


def check_target(target, path, schedule, x, exact, folder, counts):
    want = {stem + "_in" for stem in PAIRS} | {"pooled_pool", "shared_in", "hidden", "beside_in#"}
    got = rounded(path, schedule, target)
    counts.check(f"{target}: kept in bf16: {sorted(got ^ want)} should not differ", got == want)
    ways = [[], ["--pack", "start"], ["--weights", "asm", "--threads", "2"], ["--disable-pass", "pack"],
            ["--store", "bf16", "--arena", "caller"]]
    for options in ways:
        fast = build_and_run(path, x, folder, target, "--fp", "fast", "--schedule", schedule, *options)
        for name, a in exact.items():
            what = " ".join([target, name, *options])
            counts.check(what, fast[name].tobytes() == a.tobytes() and np.ptp(a) > 0)


def main():
    counts, random = Counts(), np.random.default_rng(11)
    here = re.findall(r"^(\S+) .* here ", run([KILN, "targets"]), re.M)
    with tempfile.TemporaryDirectory(prefix="kiln-fast-") as folder:
        path = network(random).write(folder)
        schedule = os.path.join(folder, "direct.json")
        with open(schedule, "w") as f:
            json.dump({"pooled": {"winograd": 0}}, f)
        x = {"x": whole(random, 2, 6, 13, 11)}
        exact = build_and_run(path, x, folder, "c99", "--fp", "exact")
        for target in TARGETS:
            if target in here:
                check_target(target, path, schedule, x, exact, folder, counts)
            else:
                print(f"SKIP: this machine has no {target}")
    print(f"{counts.passed} passed, {counts.failed} failed")
    sys.exit(counts.failed != 0)


if __name__ == "__main__":
    main()

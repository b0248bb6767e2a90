"""Convolutions of one value that are computed as one give the bits of those computed apart, on every target with
vectors: channels that fill no block, three of which two go together, filters that pad and stride, batches, threads,
rounded weights; and whatever reads a part, also where it is no convolution."""
import os
import random
import sys
import tempfile

import numpy as np

from kiln_model import KILN, Model, build_and_run, run, targets

KERNELS = [((1, 1), {}), ((1, 1), {"strides": [2, 2]}), ((3, 3), {"strides": [2, 2], "padding": [1, 1, 1, 1]}),
           ((2, 3), {"padding": [0, 1, 1, 1]}), ((1, 5), {"dilations": [1, 2], "padding": [0, 4, 0, 4]})]
CHANNELS = [(16, 16, 5), (32, 17, 16), (8, 4, 3), (16, 8, 8, 4), (16, 5, 24)]
N_CASES, FEWEST_JOINED = 5, 2  # on each target


def reader(model, name, value, channels, kind, rng):
    """A node that reads a part; its output."""
    def weight(*shape):
        return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    if kind == "padded":
        return model.node(name, "conv2d", [value], {"weight": weight(19, channels, 3, 3)}, padding=[1, 1, 1, 1])
    if kind == "depthwise":
        return model.node(name, "conv2d", [value], {"weight": weight(channels, 1, 3, 3)}, padding=[1, 1, 1, 1],
                          groups=channels)
    if kind == "pool":
        return model.node(name, "max_pool", [value], kernel=[2, 2])
    if kind == "flat":
        pooled = model.node(name + "_mean", "global_avg_pool", [value])
        return model.node(name, "flatten", [pooled])
    if kind == "cut":
        return model.node(name, "slice", [value], axes=[1], starts=[1], ends=[channels])
    if kind == "concat":
        return model.node(name, "concat", [value, value], axis=1)
    return model.node(name, kind, [value])


def network(name, case, shape, kernel, channels, kinds):
    """Siblings with or without bias and relu, each read by a node of its own, two of them by one more."""
    rng = np.random.default_rng(case)
    attrs, (n, c, h, w) = kernel[1], shape
    model = Model(name)
    x = model.input("x", (n, c, h, w))
    x = model.node("stem", "relu", [x])
    for i, oc in enumerate(channels):
        fan_in = c * kernel[0][0] * kernel[0][1]
        params = {"weight": (rng.standard_normal((oc, c, *kernel[0])) / np.sqrt(fan_in)).astype(np.float32)}
        if case % 3:
            params["bias"] = rng.standard_normal(oc).astype(np.float32)
        part = model.node(f"conv{i}", "conv2d", [x], params, **attrs)
        if case % 2:
            part = model.node(f"act{i}", "relu", [part])
        model.output(reader(model, f"read{i}", part, oc, kinds[i % len(kinds)], rng))
        if i < 2:
            model.output(model.node(f"twice{i}", "sigmoid", [part]))
    return model


KINDS = ["padded", "pool", "flat", "cut", "depthwise", "sigmoid", "concat"]
OPTIONS = [[], ["--threads", "2"], ["--store", "f16"], ["--store", "bf16", "--pack", "start"], ["--batch", "3"]]


def joined(path, target, options):
    return "+conv" in run([KILN, "explain", path, "--target", target, *options])


def check(case, target, folder):
    """Whether it came out the same; whether convolutions were joined."""
    pick = random.Random(case)
    kinds = ["padded"] * 2 if case % 2 else [pick.choice(KINDS[:-1]) for _ in range(2)] + ["concat"]
    shape = (1, pick.choice([24, 40, 50]), pick.choice([7, 14, 13]), pick.choice([14, 11]))
    model = network(f"case{case}", case, shape, KERNELS[case % len(KERNELS)], CHANNELS[case % len(CHANNELS)], kinds)
    path = model.write(os.path.join(folder, f"case{case}"))
    options = ["--weights", "file", "--fp", "exact", *OPTIONS[case % len(OPTIONS)]]
    n = 3 if "--batch" in options else 1
    x = np.random.default_rng(case).standard_normal((n, *shape[1:])).astype(np.float32)
    got = build_and_run(path, {"x": x}, folder, target, *options)
    want = build_and_run(path, {"x": x}, folder, target, *options, "--disable-pass", "fuse-siblings")
    same = got.keys() == want.keys() and all(got[k].tobytes() == want[k].tobytes() for k in want)
    return same and any(np.ptp(v) > 0 for v in want.values()), joined(path, target, options)


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="kiln-siblings-") as folder:
        for target in targets():
            if target == "c99":  # has no blocks of channels
                continue
            n_joined = 0
            for case in range(N_CASES):
                same, is_joined = check(case, target, folder)
                passed, failed, n_joined = passed + same, failed + (not same), n_joined + is_joined
                if not same:
                    print(f"FAILED: {target}: case {case}")
            enough = n_joined >= FEWEST_JOINED
            passed, failed = passed + enough, failed + (not enough)
            print(f"{target}: joined in {n_joined} of {N_CASES}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()

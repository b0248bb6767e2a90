"""--store and --pack against numpy: weights kept in f16 or bf16 give the bits of weights that numpy rounded,
and weights laid out at start give the bits of weights laid out by kiln, on every target, in every form."""
import os
import sys
import tempfile

import numpy as np

from kiln_model import Model, build_and_run, targets

FEWEST = 256  # weights that --store leaves alone


def to_f16(a):
    return a.astype(np.float16).astype(np.float32)


def to_bf16(a):
    """Upper half of the bits; a tie goes to the even one."""
    bits = a.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


ROUND = {"f32": lambda a: a, "f16": to_f16, "bf16": to_bf16}


def network(name, round_weights):
    """Every operator with weights: dense, grouped, depthwise, transposed, 5x5; channels that fill no vector."""
    random = np.random.default_rng(7)
    model = Model(name)
    value = model.input("x", (2, 19, 13, 11))

    def weight(*shape):
        a = (random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)
        a.flat[:3] = 1 + 2**-11, 3 * 2**-26, -(1 + 2**-8)  # ties, and what f16 has no exponent for
        return round_weights(a) if a.size >= FEWEST else a

    def layer(stem, op, shape, n_out, **attrs):
        params = {"weight": weight(*shape), "bias": random.standard_normal(n_out).astype(np.float32)}
        return model.node(stem, op, [value], params, **attrs)

    value = layer("dense", "conv2d", (40, 19, 3, 3), 40, padding=[1, 1, 1, 1])
    value = layer("grouped", "conv2d", (40, 8, 3, 3), 40, padding=[1, 1, 1, 1], groups=5)
    value = layer("depthwise", "conv2d", (40, 1, 3, 3), 40, padding=[0, 1, 0, 1], groups=40)
    value = layer("five", "conv2d", (24, 40, 5, 5), 24, padding=[2, 2, 2, 2])
    value = layer("small", "conv2d", (5, 24, 1, 1), 5)
    value = layer("up", "conv_transpose", (5, 7, 4, 4), 7, strides=[2, 2])
    value = model.node("pool", "max_pool", [value], kernel=[6, 6])
    value = model.node("flat", "flatten", [value])
    value = layer("linear", "linear", (33, 7 * 4 * 4), 33)
    model.output(value)
    return model


class Counts:
    passed = failed = 0

    def same(self, what, a, b):
        ok = a.keys() == b.keys() and all(a[k].tobytes() == b[k].tobytes() and np.ptp(a[k]) > 0 for k in a)
        self.passed += ok
        self.failed += not ok
        if not ok:
            print(f"FAILED: {what}")


def check_target(target, paths, inputs, folder, counts, rounded):
    def run(model, *options):
        return build_and_run(paths[model], inputs, folder, target, *options)

    for store in "f16", "bf16":
        got = run("f32", "--fp", "exact", "--store", store)
        if store not in rounded:
            rounded[store] = run(store, "--fp", "exact")
        counts.same(f"{target}: --store {store} --fp exact", got, rounded[store])
    counts.same(f"{target}: --store f16, transformed at start",
                run("f32", "--store", "f16", "--pack", "start"), run("f16", "--pack", "start"))
    direct = "--store", "bf16", "--disable-pass", "choose-algorithm"
    counts.same(f"{target}: --store bf16, laid out at start",
                run("f32", *direct, "--pack", "start"), run("f32", *direct, "--pack", "build"))
    want = run("f32", "--pack", "build", "--weights", "file")
    for form in ["inline", "file" if target == "c99" else "asm"]:
        got = run("f32", "--pack", "start", "--weights", form)
        counts.same(f"{target}: --pack start --weights {form}", got, want)
    got = run("f32", "--pack", "start", "--threads", "2", "--arena", "caller", "--weights", "file")
    counts.same(f"{target}: --pack start --threads 2", got, want)


def main():
    counts, rounded = Counts(), {}
    with tempfile.TemporaryDirectory(prefix="kiln-storage-") as folder:
        paths = {s: network("net_" + s, r).write(os.path.join(folder, s)) for s, r in ROUND.items()}
        x = np.random.default_rng(1).standard_normal((2, 19, 13, 11)).astype(np.float32)
        for target in targets():
            check_target(target, paths, {"x": x}, folder, counts, rounded)
    print(f"{counts.passed} passed, {counts.failed} failed")
    sys.exit(counts.failed != 0)


if __name__ == "__main__":
    main()

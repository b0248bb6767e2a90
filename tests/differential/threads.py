"""Code for several threads: any number of them, also more than it was compiled for, gives the bits of one, on every
target, and they never race.

The networks have what threads share in different ways: Winograd convolutions of one block, of many small ones
and of blocks of several sizes, 3x3 and 5x5; a convolution with more image than weights, and one with more
weights than image; a 1x1 one done by the depthwise one behind it; 1x1 ones by Strassen's algorithm and by inner products; linear layers whose
last columns fill no tile; several images at once."""
import json
import os
import sys
import tempfile

import numpy as np

from kiln_model import KILN, Model, build, build_and_run, run, run_built, targets

COMPILED_FOR = 5  # threads


def convolution(model, stem, value, shape, random, **attrs):
    weight = random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    params = {"weight": weight.astype(np.float32),
              "bias": random.standard_normal(shape[0]).astype(np.float32)}
    value = model.node(stem, "conv2d", [value], params, **attrs)
    return model.node(stem + "_relu", "relu", [value])


def network(name, images, size, channels):
    """Two residual blocks of 3x3, a 1x1 and a depthwise 3x3, a 5x5, a strided 3x3, 1x1 both ways, pooling, two linear layers."""
    random = np.random.default_rng(11)
    model = Model(name)
    x = model.input("x", (images, 3, size, size + 3))
    wide = 6 * channels
    value = convolution(model, "stem", x, (channels, 3, 3, 3), random, padding=[1, 1, 1, 1])
    for stem in "one", "two":
        inner = convolution(model, stem + "a", value, (channels, channels, 3, 3), random, padding=[1, 1, 1, 1])
        inner = convolution(model, stem + "b", inner, (channels, channels, 3, 3), random, padding=[1, 1, 1, 1])
        value = model.node(stem + "_add", "add", [inner, value])
    value = convolution(model, "widen", value, (80, channels, 1, 1), random)
    value = convolution(model, "deep", value, (80, 1, 3, 3), random, padding=[1, 1, 1, 1], groups=80)
    value = convolution(model, "narrow", value, (channels, 80, 1, 1), random)
    value = convolution(model, "five", value, (channels, channels, 5, 5), random, padding=[2, 2, 2, 2])
    value = convolution(model, "down", value, (2 * channels, channels, 3, 3), random, strides=[2, 2])
    value = convolution(model, "up", value, (wide, 2 * channels, 1, 1), random)
    value = model.node("pool", "max_pool", [value], kernel=[3, 3], strides=[2, 2])
    value = convolution(model, "late", value, (wide, wide, 3, 3), random, padding=[1, 1, 1, 1])
    value = model.node("mean", "global_avg_pool", [value])
    value = model.node("flat", "flatten", [value])
    for stem, n_in, n_out in ("first", wide, 1000), ("last", 1000, 77):
        params = {"weight": (random.standard_normal((n_out, n_in)) / np.sqrt(n_in)).astype(np.float32),
                  "bias": random.standard_normal(n_out).astype(np.float32)}
        value = model.node(stem, "linear", [value], params)
    model.output(value)
    return model


def products(name, size):
    """1x1 convolutions with many channels, of an even and of an odd number of pixels, one of them added to its input."""
    random = np.random.default_rng(13)
    model = Model(name)
    x = model.input("x", (1, 3, size, size + 3))
    first = convolution(model, "stem", x, (256, 3, 3, 3), random)
    value = convolution(model, "widen", first, (512, 256, 1, 1), random)
    value = convolution(model, "narrow", value, (256, 512, 1, 1), random)
    value = model.node("add", "add", [value, first])
    value = model.node("pool", "max_pool", [value], kernel=[2, 2], strides=[2, 2], padding=[0, 1, 0, 0])
    value = convolution(model, "odd", value, (1024, 256, 1, 1), random)
    value = model.node("mean", "global_avg_pool", [value])
    model.output(value)
    return model


class Counts:
    passed = failed = 0

    def check(self, what, ok):
        self.passed += ok
        self.failed += not ok
        if not ok:
            print(f"FAILED: {what}")


FOR_THREADS = "--weights", "file", "--threads", str(COMPILED_FOR)


def same_bits(counts, path, x, folder, names, *options):
    processors = os.sched_getaffinity(0)
    for target in names:
        want = build_and_run(path, {"x": x}, folder, target, "--weights", "file", *options)
        program = build(path, folder, target, *FOR_THREADS, *options)
        for n in 1, 2, 3, COMPILED_FOR, COMPILED_FOR + 3:  # the last ones have nothing to do
            # On one processor whichever thread runs does the pieces of those that do not.
            for allowed in processors, {min(processors)}:
                os.sched_setaffinity(0, allowed)
                got = run_built(program, {"x": x}, folder, target, "--threads", str(n))
                os.sched_setaffinity(0, processors)
                same = all(got[k].tobytes() == want[k].tobytes() and np.ptp(want[k]) > 0 for k in want)
                counts.check(f"{os.path.basename(path)}, {target}: {n} threads on {len(allowed)} processors", same)


def no_race(counts, path, x, folder, target, *options):
    """Under gcc's ThreadSanitizer, which reports an access that no meeting of the threads puts in order."""
    os.environ["CC"] = "gcc -fsanitize=thread -g"
    try:
        program = build(path, folder, target, *FOR_THREADS, *options)
        run_built(program, {"x": x}, folder, target, "--threads", "3")
        counts.check("", True)
    except RuntimeError as e:
        counts.check(f"{os.path.basename(path)}: {e}", False)
    finally:
        del os.environ["CC"]


def sharing(path, target, folder):
    """Meetings of threads, memory they have one each, and loops of which they claim pieces, in the emitted code."""
    out = os.path.join(folder, "sharing.c")
    run([KILN, "compile", path, "-q", "--target", target, *FOR_THREADS, "-o", out])
    with open(out) as f:
        text = f.read()
    return text.count("kiln_pool_meet("), text.count("each thread has its own"), text.count("kiln_pool_claim(")


def main():
    counts = Counts()
    random = np.random.default_rng(2)
    with tempfile.TemporaryDirectory(prefix="kiln-threads-") as folder:
        seen = np.zeros(3, int)
        fast = [name for name, emulator in targets().items() if not emulator]
        for name, images, size, channels in ("small", 1, 21, 16), ("batch", 3, 14, 32), ("large", 1, 80, 64):
            path = network(name, images, size, channels).write(folder)
            x = random.standard_normal((images, 3, size, size + 3)).astype(np.float32)
            # The large one has blocks for threads of their own, which take vectors.
            names = targets() if name == "small" else fast if name == "batch" else fast[-1:]
            same_bits(counts, path, x, folder, names)
            no_race(counts, path, x, folder, fast[-1])
            seen += sharing(path, fast[-1], folder)
        path = products("products", 28).write(folder)
        x = random.standard_normal((1, 3, 28, 31)).astype(np.float32)
        for algorithm in "strassen", "inner":
            schedule = os.path.join(folder, algorithm + ".schedule")
            with open(schedule, "w") as f:
                json.dump({name: {algorithm: 1} for name in ("widen", "narrow", "odd")}, f)
            same_bits(counts, path, x, folder, fast[-1:], "--schedule", schedule)
            no_race(counts, path, x, folder, fast[-1], "--schedule", schedule)
        counts.check("threads meet inside a kernel somewhere", seen[0] > 0)
        counts.check("threads have memory of their own somewhere", seen[1] > 0)
        counts.check("threads claim pieces of loops somewhere", seen[2] > 0)
    print(f"{counts.passed} passed, {counts.failed} failed")
    sys.exit(counts.failed != 0)


if __name__ == "__main__":
    main()

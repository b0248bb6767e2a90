"""How near the peak kiln's direct sums come where nothing is in the way: 1x1 convolutions alone, by target."""
import os
import tempfile

import numpy as np

import machine
from kiln_model import KILN, Model, run, targets

LAYERS, CHANNELS, SIZE, RUNS = 8, 256, 28, 60


def model(folder):
    """A chain of 1x1 convolutions with relu; its path."""
    m, rng = Model("one_by_one"), np.random.default_rng(5)
    value = m.input("x", (1, CHANNELS, SIZE, SIZE))
    for i in range(LAYERS):
        weight = rng.standard_normal((CHANNELS, CHANNELS, 1, 1), np.float32) * (2 / CHANNELS) ** 0.5
        value = m.node(f"relu{i}", "relu", [m.node(f"conv{i}", "conv2d", [value], {"weight": weight})])
    m.output(value)
    return m.write(folder)


def peaks(limits):
    """{target: GF/s of multiply-adds at most} of the targets whose vectors were measured."""
    bits = {f"{limits['vector_bits']:.0f}": limits["fma"]}
    if "fma_256" in limits:
        bits["256"] = limits["fma_256"]
    names = {"x86-avx512": "512", "x86-avx2": "256"}
    return {t: bits[names[t]] for t in targets() if names.get(t) in bits}


def measured(folder, limits):
    """{target: [GF/s, share of the peak]}, by the fastest run: so are the peaks."""
    found, flops = {}, 2 * LAYERS * (CHANNELS * SIZE) ** 2
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = model(place)
        for target, peak in peaks(limits).items():
            program = os.path.join(place, target)
            run([KILN, "build", path, "-q", "--weights", "file", "--target", target, "-o", program])
            times = [float(t) for t in run(machine.pinned(1) + [program, "--bench", str(RUNS)]).split()]
            speed = flops / min(times) * 1e-6
            found[target] = [speed, speed / peak]
    return found

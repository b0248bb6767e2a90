"""How near the peak kiln's direct sums come where nothing is in the way: 1x1 convolutions alone, by target."""
import os
import tempfile

import numpy as np

import machine
from kiln_model import KILN, Model, run, targets

LAYERS, CHANNELS, SIZE, RUNS, ROUNDS = 8, 256, 28, 60, 5


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
    if "x86-zen4" in targets():  # which stands for x86-avx512
        names = {"x86-zen4": "512", **names}
    return {t: bits[width] for t, width in names.items() if width in bits}


def measured(folder, limits):
    """{target: [GF/s, share of the peak]}. Peaks and layers are measured in turns, since a rented machine is faster
    at one time than at another, and of each the fastest run counts."""
    found, flops = {}, 2 * LAYERS * (CHANNELS * SIZE) ** 2
    best, programs = peaks(limits), {}
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = model(place)
        for target in best:
            programs[target] = os.path.join(place, target)
            run([KILN, "build", path, "-q", "--weights", "file", "--target", target, "-o", programs[target]])
        for _ in range(ROUNDS):
            for target, peak in peaks(machine.limits(folder)).items():
                best[target] = max(best[target], peak)
                times = run(machine.pinned(1) + [programs[target], "--bench", str(RUNS)]).split()
                found[target] = max(found.get(target, 0), flops / min(map(float, times)) * 1e-6)
    return {target: [speed, speed / best[target]] for target, speed in found.items()}

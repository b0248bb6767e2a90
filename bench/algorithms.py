"""The rounding errors of the algorithms a convolution can be computed by, one layer at a time: `kiln verify` compares
emitted code with an evaluation in double precision."""
import json
import os
import re
import tempfile

from kiln_model import KILN, run

# Input channels, output channels, image edge, filter edge.
LAYERS = [(64, 64, 56, 3), (128, 128, 28, 3), (256, 256, 14, 3), (512, 512, 7, 3), (96, 256, 26, 5), (256, 512, 28, 1),
          (1024, 512, 14, 1), (1024, 2048, 7, 1)]
# What a schedule file says of the layer, and the filters that it is for.
ALGORITHMS = {
    "direct": ({"winograd": 0}, (1, 3, 5)),
    "Winograd 2x2": ({"winograd": 2}, (3, 5)),
    "Winograd 4x4": ({"winograd": 4}, (3, 5)),
    "Winograd 6x6": ({"winograd": 6}, (3,)),
    "Strassen": ({"strassen": 1}, (1,)),
    "inner product": ({"inner": 1}, (1,)),
}


def model(inputs, outputs, edge, k):
    node = {"name": "conv", "op": "conv2d", "inputs": ["x"], "attrs": {"padding": [k // 2] * 4},
            "params": {"weight": {"shape": [outputs, inputs, k, k]}, "bias": {"shape": [outputs]}}}
    return {"format": "kiln-graph", "version": 1, "name": "layer", "weights": {"random": 1},
            "inputs": [{"name": "x", "shape": [1, inputs, edge, edge], "type": "f32"}],
            "nodes": [node], "outputs": ["conv"]}


def error(folder, layer, schedule):
    """Largest error of an output of one layer, in standard deviations of the output."""
    paths = [os.path.join(folder, name) for name in ("layer.json", "schedule.json")]
    for path, content in zip(paths, (model(*layer), {"conv": schedule})):
        with open(path, "w") as f:
            json.dump(content, f)
    said = run([KILN, "verify", paths[0], "--schedule", paths[1], "--weights", "file"]).splitlines()
    columns = [re.split(r"  +", line.strip()) for line in (said[0], said[2])]
    return float(dict(zip(*columns))["error/std"])


def measured():
    """[[layer, error by algorithm, or None where it is not for that filter]]"""
    with tempfile.TemporaryDirectory() as folder:
        return [[f"{i} -> {o} channels, {edge}x{edge}, {k}x{k}",
                 *(error(folder, (i, o, edge, k), schedule) if k in filters else None
                   for schedule, filters in ALGORITHMS.values())]
                for i, o, edge, k in LAYERS]

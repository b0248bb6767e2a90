#!/usr/bin/python3
"""kiln against ONNX Runtime: the same networks, the same input, in turns, one thread. Prints a table;
ratios are of medians. Usage: bench.py FOLDER [NETWORK ...]; KILN_FLAGS holds further options of kiln
build."""
import os
import platform
import subprocess
import sys

import numpy as np
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(ROOT, "tests", "differential"))
import peer_networks  # noqa: E402
from kiln_model import KILN, run  # noqa: E402

ROUNDS, RUNS = 7, 5
# One processor, and ahead of everything else that runs where that is allowed.
PIN = (["chrt", "-f", "50"] if os.geteuid() == 0 else []) + ["taskset", "-c", "0"]


class Peer:
    """ONNX Runtime in a process of its own, resident between its turns."""

    def __init__(self, folder, name, shape):
        self.out = os.path.join(folder, name + ".ort.f32")
        env = dict(os.environ, NODE_PATH=os.path.join(os.path.dirname(folder), "node", "node_modules"))
        command = PIN + ["node", os.path.join(HERE, "ort.js"), os.path.join(folder, name + ".onnx"),
                         os.path.join(folder, name + ".f32"), "x".join(map(str, shape)), "1", self.out]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        if self.process.stdout.readline().strip() != "ready":
            raise RuntimeError("ONNX Runtime did not start")

    def times(self, n):
        self.process.stdin.write(f"{n}\n")
        self.process.stdin.flush()
        return [float(t) for t in self.process.stdout.readline().split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def prepare(folder, name):
    """Writes the network for both, and its input; the shape."""
    module, shape = peer_networks.make(name)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    x.numpy().tofile(os.path.join(folder, name + ".f32"))
    np.save(os.path.join(folder, name + ".npy"), x.numpy())
    model = os.path.join(folder, name + ".onnx")
    torch.onnx.export(module, x, model, opset_version=13, input_names=["x"], output_names=["y"])
    program = os.path.join(folder, name)
    run([KILN, "build", model, "-q", "--weights", "file", "-o", program] + os.environ.get("KILN_FLAGS", "").split())
    return shape, program


def measure(folder, name):
    shape, program = prepare(folder, name)
    given = ["--in", f"x={os.path.join(folder, name)}.npy"]
    peer = Peer(folder, name, shape)
    run([program, *given, "--out", folder])
    mine = np.load(os.path.join(folder, "y.npy")).ravel()
    theirs = np.fromfile(peer.out, np.float32)
    kiln, ort = [], []
    for _ in range(ROUNDS):
        kiln += [float(t) for t in run(PIN + [program, *given, "--bench", str(RUNS)]).split()]
        ort += peer.times(RUNS)
    peer.close()
    return kiln, ort, np.abs(mine - theirs).max() / theirs.std()


def main():
    folder = os.path.join(os.path.abspath(sys.argv[1]), "nets")
    os.makedirs(folder, exist_ok=True)
    with open("/proc/cpuinfo") as f:
        cpu = next(line.split(":")[1].strip() for line in f if line.startswith("model name"))
    print(f"{cpu}, {platform.system()} {platform.release()}; one thread, batch 1; {ROUNDS} rounds of {RUNS} runs in turns")
    print(f"{'network':<12}{'kiln ms':>10}{'(min)':>9}{'ORT ms':>10}{'(min)':>9}{'ratio':>8}{'max diff / std':>16}")
    for name in sys.argv[2:] or peer_networks.NETWORKS:
        kiln, ort, difference = measure(folder, name)
        print(f"{name:<12}{np.median(kiln):>10.2f}{min(kiln):>9.2f}{np.median(ort):>10.2f}{min(ort):>9.2f}"
              f"{np.median(kiln) / np.median(ort):>8.2f}{difference:>16.1e}", flush=True)


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""One network in PyTorch, resident: frozen and optimized for inference.

    torch_peer.py TRACED.pt INPUT.npy OUT.f32 THREADS plain|channels_last

Writes its result to OUT.f32 and prints "ready"; after that each line "U N" on standard input makes U runs and then
N timed ones, whose milliseconds are one line on standard output."""
import sys
import time
import warnings

import numpy as np
import torch

WARM_UP = 3  # the first runs are watched, and compiled after


def serve(module, x):
    for line in sys.stdin:
        untimed, timed = (int(n) for n in line.split())
        times = []
        for i in range(untimed + timed):
            start = time.perf_counter()
            module(x)
            times.append((time.perf_counter() - start) * 1e3)
        print(*(f"{t:.6f}" for t in times[untimed:]), flush=True)


def main():
    traced, path, out, threads, layout = sys.argv[1:]
    torch.set_num_threads(int(threads))
    warnings.simplefilter("ignore")
    module, x = torch.jit.load(traced), torch.from_numpy(np.load(path))
    if layout == "channels_last":
        module, x = module.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    with torch.inference_mode():
        module = torch.jit.optimize_for_inference(torch.jit.freeze(module))
        for _ in range(WARM_UP):
            module(x)
        module(x).numpy().tofile(out)
        print("ready", flush=True)
        serve(module, x)


if __name__ == "__main__":
    main()

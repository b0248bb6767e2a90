#!/usr/bin/python3
"""The trained networks of models/ as C and in PyTorch, on the test images of Fashion-MNIST.

    tools/accuracy.py [--limit N] [NAME...]        default: every network with trained weights

Each network is compiled for this machine with its weights in a file. PyTorch computes in fp32 on the
same weights, rounded to F16, and the same images. `differ` counts the images that the two put into
different classes; the exit status is 1 where there are any. B is the build folder (default build); it
holds kiln.
"""

import argparse
import os
import sys

import numpy as np

from classify import BUILD, KILN, ROOT, Classifier, chunks, data, run
import torch
import graph as graphs
import safetensors_io
import train
from network import Network

FOLDER = os.path.join(BUILD, "accuracy")
COLUMNS = ("network", "input", "params", "accuracy", "PyTorch", "differ", "images/s")
ROW = "{:<13} {:>9} {:>12} {:>9} {:>8} {:>8} {:>9}"
BATCH = 100


def trained_networks():
    return [name for name in train.RECIPES if os.path.exists(train.model_path(name, ".safetensors"))]


def load_network(name):
    tensors = safetensors_io.read(train.model_path(name, ".safetensors"))
    network = Network(graphs.read(train.model_path(name, ".json"), tensors))
    network.load_tensors(tensors)
    return network.eval().to(memory_format=torch.channels_last)


@torch.no_grad()
def reference(network, images):
    """The logits of PyTorch for images [N, C, H, W]."""
    batches = torch.from_numpy(images).split(BATCH)
    return np.concatenate([network(x.contiguous(memory_format=torch.channels_last)).numpy() for x in batches])


def measure(name, images, labels):
    """One row of the table, and how many images the two programs class differently."""
    network = load_network(name)
    graph = network.graph
    shape = graph.shapes[graph.input]
    program = os.path.join(FOLDER, name)
    run(KILN, "build", train.model_path(name, ".json"), "--weights", "file", "-o", program)
    classifier = Classifier(program, FOLDER, graph.input, graph.output)
    differ = right = 0
    for _ in chunks(images, labels, shape[2], FOLDER, f"{name}: "):
        ours = classifier.run().argmax(1)
        theirs = reference(network, np.load(os.path.join(FOLDER, "images.npy"))).argmax(1)
        truth = np.load(os.path.join(FOLDER, "labels.npy"))
        differ += int((ours != theirs).sum())
        right += int((theirs == truth).sum())
    count = classifier.count
    params = sum(p.numel() for p in network.parameters())
    return (name, "x".join(map(str, shape[1:])), f"{params:,}", f"{classifier.right / count:.4f}",
            f"{right / count:.4f}", f"{differ}/{count}", f"{count / classifier.seconds:.0f}"), differ


def main():
    names = trained_networks()
    parser = argparse.ArgumentParser(description="Accuracy of the trained networks, as C and in PyTorch.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images")
    args = parser.parse_args()
    for name in args.names:
        if name not in names:
            parser.error(f"no trained network '{name}'; there are {', '.join(names)}")
    if args.limit is not None and args.limit < 1:
        parser.error("--limit must be at least 1")

    os.chdir(ROOT)
    os.makedirs(FOLDER, exist_ok=True)
    train.keep_freed_memory()
    images, labels = data.load("test")
    differ = 0
    print(ROW.format(*COLUMNS), flush=True)
    for name in args.names or names:
        row, n = measure(name, images[:args.limit], labels[:args.limit])
        print(ROW.format(*row), flush=True)
        differ += n
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""Whole networks with random weights against PyTorch in double: small ones on every target this machine
runs, large ones on its best and on arm64. Ends with `N passed, N failed`."""
import os
import shutil
import sys
import tempfile

import numpy as np
import torch
import torchvision
from torch import nn

from cases import U
from from_torch import from_torch, random_weights
from kiln_model import build_and_run, targets


class PreActivation(nn.Module):
    """ResNet v2: batch norm and ReLU before each convolution, several outputs."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1, self.conv1 = nn.BatchNorm2d(16), nn.Conv2d(16, 32, 3, 2, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(32), nn.Conv2d(32, 32, 3, 1, 1, bias=False)
        self.short = nn.Conv2d(16, 32, 1, 2, bias=False)
        self.bn3, self.relu = nn.BatchNorm2d(32), nn.ReLU()
        self.head1, self.head2 = nn.Linear(32, 10), nn.Linear(32, 7)

    def forward(self, x):
        x = self.stem(x)
        y = self.relu(self.bn1(x))
        x = self.conv2(self.relu(self.bn2(self.conv1(y)))) + self.short(y)
        x = self.relu(self.bn3(x)).mean([2, 3])
        return self.head1(x), self.head2(x)


class Dense(nn.Module):
    """A dense block: every layer reads all before it."""

    def __init__(self, growth=16, layers=4):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, 1, 1)
        self.convs = nn.ModuleList([nn.Conv2d(16 + i * growth, growth, 3, 1, 1) for i in range(layers)])
        self.pool, self.fc = nn.AvgPool2d(2, 2), nn.Linear((16 + layers * growth) * 7 * 5, 10)

    def forward(self, x):
        parts = [self.stem(x)]
        for conv in self.convs:
            parts.append(torch.relu(conv(torch.cat(parts, 1))))
        return self.fc(torch.flatten(self.pool(torch.cat(parts, 1)), 1))


def vision(name, **options):
    return lambda: getattr(torchvision.models, name)(weights=None, num_classes=10, **options)


NETWORKS = {
    "preactivation": (PreActivation, (1, 3, 15, 17)),
    "dense": (Dense, (1, 1, 14, 11)),
    "dense_batch": (Dense, (3, 1, 14, 11)),
    "resnet18": (vision("resnet18"), (1, 3, 64, 64)),
    "resnet18_batch": (vision("resnet18"), (2, 3, 37, 33)),
    "resnext50": (vision("resnext50_32x4d"), (1, 3, 64, 64)),
    "vgg11_bn": (lambda: nn.Sequential(vision("vgg11_bn")().features, nn.Flatten(), nn.Linear(512, 10)), (1, 3, 32, 32)),
    "squeezenet": (vision("squeezenet1_1"), (1, 3, 65, 65)),
    "squeezenet_batch": (vision("squeezenet1_1"), (2, 3, 47, 49)),
    "mobilenet_v2": (vision("mobilenet_v2"), (1, 3, 64, 64)),
}


# Their weights go into a file beside the program: as text they would take longer to compile than to test.
LARGE = ("resnet18", "resnet18_batch", "resnext50", "vgg11_bn")


def targets_for(name):
    """{target: options of kiln build}."""
    if name not in LARGE:
        return {t: [] for t in targets()}
    return {t: ["--weights", "file"] for t in ("native", "aarch64")}


def weights_length(module):
    """The sum of all reduction lengths: how many roundings a path through the network may meet."""
    return sum(m.weight[0].numel() for m in module.modules() if isinstance(m, (nn.Conv2d, nn.Linear)))


def check(name, folder, counts):
    build, shape = NETWORKS[name]
    module = random_weights(build(), 3)
    path = from_torch(module, shape, name)
    file = path.write(folder)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        want = module.double()(x.double())
    want = [w.numpy() for w in (want if isinstance(want, tuple) else (want,))]
    bound = 8 * U * weights_length(module) ** 0.5
    for target, options in targets_for(name).items():
        try:
            out = build_and_run(file, {path.inputs[0]["name"]: x.numpy()}, folder, target, *options)
        except (RuntimeError, OSError) as e:
            print(f"FAIL networks/{name} {target}: {e}")
            counts[1] += 1
            continue
        worst = max(np.abs(out[k] - w).max() / w.std() for k, w in zip(path.outputs, want))
        counts[0 if worst <= bound else 1] += 1
        if not worst <= bound:
            print(f"FAIL networks/{name} {target}: error {worst:.3g} of the output's deviation, bound {bound:.3g}")


def main():
    counts = [0, 0]
    for name in sys.argv[1:] or NETWORKS:
        folder = tempfile.mkdtemp(prefix="kiln-network-")
        check(name, folder, counts)
        shutil.rmtree(folder)
    print(f"{counts[0]} passed, {counts[1]} failed")
    return 1 if counts[1] else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""Train the example networks on Fashion-MNIST and write them as kiln models.

    models/train.py NAME...              train, export to models/NAME.json and .safetensors,
                                         evaluate
    models/train.py --export NAME...     export the latest checkpoint, finished or not
    models/train.py --evaluate NAME...   measure the exported files on the 10,000 test images

Training resumes from the latest checkpoint in models/.checkpoints. Needs Debian's python3-torch and
dataset-fashion-mnist.
"""

import argparse
import ctypes
import math
import os
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import Callable

import numpy as np
import torch
import torch.nn.functional as F

import fashion_mnist
import graph as graphs
import nets
import safetensors_io
from network import Network, TrainingNetwork, resize

FOLDER = os.path.dirname(os.path.abspath(__file__))
CHECKPOINTS = os.path.join(FOLDER, ".checkpoints")
CHECKPOINT_SECONDS = 180        # at least this often; also after each epoch
PROBE = 2000                    # test images looked at after each epoch


@dataclass
class Recipe:
    build: Callable             # the network as it is exported
    epochs: int
    rate: float                 # the peak of the learning rate
    batch: int = 128
    decay: float = 0.01         # AdamW's, on weights but not on biases and norms
    warmup: float = 0.15        # share of the steps before the peak
    smoothing: float = 0.05     # of labels
    dropout: float = 0.5
    shift: int = 2              # pixels of 28, at random
    flip: bool = True           # left to right, at random
    bfloat16: bool = True       # matrix products while training
    seed: int = 1
    normed: Callable = None     # as it is trained: with batch norms that export folds away


RECIPES = {
    "lenet5": Recipe(nets.lenet5, epochs=30, rate=4e-3, shift=1, smoothing=0.0),
    "resnet8": Recipe(nets.resnet8, epochs=24, rate=8e-3),
    "vgg11_8": Recipe(nets.vgg11_8, epochs=4, rate=2e-3, batch=64, warmup=0.45,
                      dropout=0.3),
    "resnet18": Recipe(partial(nets.resnet18, 96), epochs=3, rate=3e-3, warmup=0.25),
    "nin": Recipe(nets.nin, epochs=2, rate=3e-3, warmup=0.25, dropout=0.2,
                  normed=partial(nets.nin, norm=True)),
    "mobilenet_v1": Recipe(partial(nets.mobilenet_v1, 96), epochs=6, rate=8e-3),
    "preresnet20": Recipe(nets.preresnet20, epochs=8, rate=6e-3),
    "resnext14": Recipe(nets.resnext14, epochs=4, rate=6e-3),
}


def learning_rate(recipe, progress):
    """A linear rise, then half a cosine down to zero; progress runs from 0 to 1."""
    if progress < recipe.warmup:
        return recipe.rate * progress / recipe.warmup
    return recipe.rate * 0.5 * (1 + math.cos(
        math.pi * (progress - recipe.warmup) / (1 - recipe.warmup)))


def augment(images, recipe, generator):
    """Shift and flip each image of a batch (float [N, 1, H, W]) by its own draw."""
    count, _, height, width = images.shape
    s = recipe.shift
    x = F.pad(images, (s, s, s, s))[:, 0]
    rows = torch.randint(2 * s + 1, (count, 1), generator=generator) + torch.arange(height)
    columns = torch.randint(2 * s + 1, (count, 1), generator=generator) + torch.arange(width)
    if recipe.flip:
        flipped = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(flipped, columns.flip(1), columns)
    index = torch.arange(count)[:, None, None]
    return x[index, rows[:, :, None], columns[:, None, :]][:, None]


def load(split):
    images, labels = fashion_mnist.load(split)
    return torch.from_numpy(images.copy())[:, None], torch.from_numpy(labels.astype(np.int64))


def scaled(images):
    return images.float() / 255


@torch.no_grad()
def accuracy(model, images, labels, batch=100):
    """Share of the images, given at 28 x 28, that a model ranks right."""
    right = 0
    for x, y in zip(images.split(batch), labels.split(batch)):
        right += (model(scaled(x)).argmax(1) == y).sum().item()
    return right / len(labels)


def make_optimizer(recipe, network):
    weights = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() <= 1]
    groups = [{"params": weights, "weight_decay": recipe.decay},
              {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.rate, foreach=True)


def train_step(recipe, step, steps, model, optimizer, images, labels):
    """One batch, images and labels already drawn; returns its loss."""
    seed = recipe.seed * 10**6 + step
    torch.manual_seed(seed)                                 # dropout
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(recipe, (step + 1) / steps)
    x = augment(scaled(images), recipe, torch.Generator().manual_seed(seed))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.bfloat16):
        logits = model(x)
    loss = F.cross_entropy(logits.float(), labels, label_smoothing=recipe.smoothing)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.item()


def checkpoint_path(name):
    return os.path.join(CHECKPOINTS, name + ".pt")


def save_checkpoint(name, step, network, optimizer):
    os.makedirs(CHECKPOINTS, exist_ok=True)
    path = checkpoint_path(name)
    torch.save({"step": step, "network": network.state_dict(),
                "optimizer": optimizer.state_dict()}, path + ".partial")
    os.replace(path + ".partial", path)


def load_checkpoint(name, network, optimizer=None):
    """Restore the latest checkpoint; returns the number of steps it has seen."""
    if not os.path.exists(checkpoint_path(name)):
        return 0
    saved = torch.load(checkpoint_path(name))
    network.load_state_dict(saved["network"])
    if optimizer:
        optimizer.load_state_dict(saved["optimizer"])
    return saved["step"]


def make_network(name):
    recipe = RECIPES[name]
    torch.manual_seed(recipe.seed)
    return Network((recipe.normed or recipe.build)(), recipe.dropout).to(memory_format=torch.channels_last)


def train(name):
    recipe = RECIPES[name]
    network = make_network(name)
    optimizer = make_optimizer(recipe, network)
    images, labels = load("train")
    probe = [tensor[:PROBE] for tensor in load("test")]
    model = TrainingNetwork(network, images.shape[2])
    per_epoch = len(labels) // recipe.batch
    steps = recipe.epochs * per_epoch
    first = load_checkpoint(name, network, optimizer)
    losses, start = [], time.time()
    for step in range(first, steps):
        epoch, index = divmod(step, per_epoch)
        if index == 0 or step == first:
            generator = torch.Generator().manual_seed(recipe.seed * 1000 + epoch)
            order = torch.randperm(len(labels), generator=generator)
        chosen = order[index * recipe.batch:(index + 1) * recipe.batch]
        model.train()
        losses.append(train_step(recipe, step, steps, model, optimizer,
                                 images[chosen], labels[chosen]))
        seconds = time.time() - start
        if index == per_epoch - 1 or seconds > CHECKPOINT_SECONDS:
            save_checkpoint(name, step + 1, network, optimizer)
            print(f"{name}: epoch {(step + 1) / per_epoch:.2f} of {recipe.epochs}, "
                  f"loss {np.mean(losses):.4f}, "
                  f"{len(losses) * recipe.batch / seconds:.0f} images/s", flush=True)
            if index == per_epoch - 1:
                model.eval()
                print(f"{name}: first {PROBE} test images: {accuracy(model, *probe):.4f}",
                      flush=True)
            losses, start = [], time.time()


def model_path(name, extension):
    return os.path.join(FOLDER, name + extension)


def without_norms(network):
    """The tensors of a network whose convolutions, all with a bias, have taken in the norms behind."""
    tensors = {key: tensor.double() for key, tensor in network.tensors().items()}
    nodes = {node["name"]: node for node in network.graph.nodes}
    for norm in network.graph.nodes:
        if norm["op"] != "batch_norm":
            continue
        conv = nodes[norm["inputs"][0]]["params"]
        scale, bias, mean, var = (tensors.pop(norm["params"][role])
                                  for role in ("scale", "bias", "mean", "var"))
        factor = scale / torch.sqrt(var + norm["attrs"]["epsilon"])
        tensors[conv["weight"]] *= factor[:, None, None, None]
        tensors[conv["bias"]] = (tensors[conv["bias"]] - mean) * factor + bias
    return tensors


def export(name):
    recipe = RECIPES[name]
    network = make_network(name)
    if not load_checkpoint(name, network):
        raise FileNotFoundError(2, "no checkpoint", checkpoint_path(name))
    tensors = without_norms(network) if recipe.normed else network.tensors()
    tensors = {key: tensor.numpy().astype(np.float16, order="C")
               for key, tensor in tensors.items()}
    safetensors_io.write(model_path(name, ".safetensors"), tensors)
    graphs.write(model_path(name, ".json"), recipe.build())


def evaluate(name):
    """Accuracy of the exported files, in fp32, over the whole test set."""
    tensors = safetensors_io.read(model_path(name, ".safetensors"))
    network = Network(graphs.read(model_path(name, ".json"), tensors))
    network.load_tensors(tensors)
    network.eval()
    size = network.graph.shapes[network.graph.input][2]
    share = accuracy(lambda x: network(resize(x, size)), *load("test"))
    print(f"{name}: test accuracy {share:.4f} "
          f"({os.path.getsize(model_path(name, '.safetensors'))} bytes of weights)", flush=True)


def keep_freed_memory():
    """Let glibc reuse large blocks; asking the kernel anew for each costs a third of the time."""
    trim_threshold, mmap_max = -1, -4
    libc = ctypes.CDLL(None)
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, -1)


def main():
    parser = argparse.ArgumentParser(description="Train networks on Fashion-MNIST.")
    parser.add_argument("names", nargs="+", metavar="NAME", help=", ".join(RECIPES))
    parser.add_argument("--export", action="store_true", help="only export the checkpoint")
    parser.add_argument("--evaluate", action="store_true", help="only measure the exported files")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    for name in args.names:
        if name not in RECIPES:
            parser.error(f"no recipe '{name}'; there are {', '.join(RECIPES)}")

    keep_freed_memory()
    torch.set_num_threads(args.threads)
    try:
        for name in args.names:
            if not args.export and not args.evaluate:
                train(name)
            if not args.evaluate:
                export(name)
            evaluate(name)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())

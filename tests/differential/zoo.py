#!/usr/bin/python3
"""The zoo (models/nets.py) against torchvision: tensors, parameters and multiply-accumulates of each
network in torchvision's form, and what the reference evaluator makes of torchvision's weights. Every
network compiles and its arena is proven minimal; small inputs go through the emitted C. Ends with
`N passed, N failed`. Usage: zoo.py [--all] [NETWORK ...]; with --all the evaluator and the emitted C
run every network, which takes most of an hour."""
import os
import re
import shutil
import sys
import tempfile

import numpy as np
import torch
import torchvision
from torch import nn

from from_torch import random_weights
from kiln_model import KILN, ROOT, run

sys.path.insert(0, os.path.join(ROOT, "models"))
import graph as graphs  # noqa: E402
import nets  # noqa: E402
import safetensors_io  # noqa: E402

# Compared by what they compute; the others differ from one of these in numbers of layers alone.
EVALUATED = ("alexnet", "googlenet", "resnet18", "resnet50", "resnext50_32x4d", "regnet_x_400mf",
             "densenet121", "squeezenet1_0", "squeezenet1_1", "mobilenet_v2")
# Run as C: (name, form, options).
BUILT = [("residual", "textbook", {"width": 6, "stride": 2, "shortcut": True}),
         ("resnext_block", "textbook", {"size": 24, "stride": 2, "shortcut": True}),
         ("lenet5", "tensorflow", {}), ("resnet8", "tensorflow", {}), ("preresnet20", "textbook", {}),
         ("resnext14", "textbook", {}), ("mobilenet_v1_025", "tensorflow", {"size": 64}),
         ("googlenet", "textbook", {"size": 64}), ("vgg11", "tensorflow", {"size": 32, "width_divisor": 8}),
         ("squeezenet1_1", "torchvision", {"size": 64}), ("regnet_x_400mf", "torchvision", {"size": 64})]


VGGS = [f"vgg{depth}" for depth in nets.VGG_BLOCKS]


def torch_module(name, norm):
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    if norm:
        name += "_bn"
    return getattr(torchvision.models, name)(weights=None, **options).eval()


def multiply_accumulates(module, shape):
    """Of all convolutions and linear layers, as they are called; nothing is computed."""
    total = 0

    def count(layer, _, out):
        nonlocal total
        total += out.numel() * layer.weight[0].numel()

    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(count)
    with torch.no_grad():
        module.to("meta")(torch.empty(shape, device="meta"))
    return total


def tensors_of(module):
    return {k: v for k, v in module.state_dict().items() if not k.endswith("num_batches_tracked")}


def write(folder, graph, weights=1):
    path = os.path.join(folder, graph.name + ".json")
    graphs.write(path, graph, weights)
    return path


def check_counts(name, norm, folder):
    """The tensors have torchvision's names and shapes; kiln inspect counts as torchvision does."""
    module = torch_module(name, norm)
    graph = nets.TORCHVISION[name](**({"norm": True} if norm else {}))
    shapes = {k: list(v.shape) for k, v in tensors_of(module).items()}
    wrong = [k for k in {**shapes, **graph.params} if shapes.get(k) != graph.params.get(k)]
    if wrong:
        return f"tensors that are not torchvision's: {', '.join(wrong)}"
    theirs = [sum(p.numel() for p in module.parameters()), multiply_accumulates(module, (1, 3, 224, 224))]
    said = run([KILN, "inspect", write(folder, graph)])
    ours = [int(text.replace(",", "")) for text in re.search(r"^total +([\d,]+) +([\d,]+)", said, re.M).groups()]
    return "" if ours == theirs else f"parameters and MACs are {ours}, torchvision has {theirs}"


def check_values(name, folder):
    """The evaluator, on torchvision's weights, gives what PyTorch gives in double."""
    module = random_weights(torch_module(name, False), 11)
    arrays = {k: v.numpy() for k, v in tensors_of(module).items()}
    safetensors_io.write(os.path.join(folder, name + ".safetensors"), arrays)
    path = write(folder, nets.TORCHVISION[name](size=64), name + ".safetensors")
    x = torch.randn((1, 3, 64, 64), generator=torch.Generator().manual_seed(2))
    np.save(os.path.join(folder, "image.npy"), x.numpy())
    run([KILN, "run", path, "--in", f"image={folder}/image.npy", "--out", folder])
    (output,) = graphs.read(path, arrays).outputs
    with torch.no_grad():
        want = module.double()(x.double()).numpy()
    error = np.abs(np.load(os.path.join(folder, output + ".npy")) - want).max() / want.std()
    return "" if error < 1e-5 else f"differs from PyTorch by {error:.3g} of the deviation"


def check_plan(name, form, folder):
    """No smaller arena will do, and no other order of the nodes has a lower peak."""
    path = write(folder, nets.FORMS[form][name](**({"width_divisor": 8} if name in VGGS else {})))
    for target in ("c99", "native"):
        said = run([KILN, "compile", path, "--target", target, "--weights", "file", "-v",
                    "-o", os.path.join(folder, "out.c")])
        for claim in (r"^arena .*, optimal ", r"^order of nodes optimal "):
            if not re.search(claim, said, re.M):
                return f"on {target}: no {claim!r} in {said!r}"
    return ""


def check_built(name, form, options, folder):
    """The emitted C within its bound of the evaluator."""
    path = write(folder, nets.FORMS[form][name](**options))
    run([KILN, "verify", path, "--weights", "file"])
    return ""


def small(build):
    """The options of a network for an input it computes quickly."""
    size = build().shapes["image"][2]
    return {"size": 96} if size > 64 else {}


def checks(everything):
    """(what, function, arguments before the folder), all there are."""
    for name in nets.TORCHVISION:
        for norm in (False, True) if name.startswith("vgg") else (False,):
            yield f"{name}{'_bn' if norm else ''} counts", check_counts, (name, norm)
        if everything or name in EVALUATED:
            yield f"{name} values", check_values, (name,)
    for form in ("textbook", "torchvision"):
        for name in nets.FORMS[form]:
            yield f"{name} {form} plan", check_plan, (name, form)
    built = BUILT
    if everything:
        built = [(name, form, small(build)) for form, builds in nets.FORMS.items()
                 for name, build in builds.items()]
    for name, form, options in built:
        yield f"{name} {form} built", check_built, (name, form, options)


def main():
    everything = "--all" in sys.argv
    names = [a for a in sys.argv[1:] if a != "--all"]
    passed = failed = 0
    for what, check, arguments in checks(everything):
        if names and arguments[0] not in names:
            continue
        folder = tempfile.mkdtemp(prefix="kiln-zoo-")
        try:
            wrong = check(*arguments, folder)
        except (RuntimeError, OSError) as error:
            wrong = str(error)
        shutil.rmtree(folder)
        if wrong:
            print(f"FAIL zoo/{what}: {wrong}", flush=True)
            failed += 1
        else:
            passed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

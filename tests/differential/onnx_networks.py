#!/usr/bin/python3
"""torchvision's architectures with random weights, exported by torch.onnx, compiled by kiln and run, against
PyTorch in double. Batch-norm statistics come from a forward pass. Ends with `N passed, N failed`.

    onnx_networks.py                     some of them, at 64x64 with 10 classes
    onnx_networks.py --full [NETWORK...] all, at 224x224 with 1000 classes, against ONNX Runtime as well
    onnx_networks.py --full --write      the same; the table goes into docs/onnx.md

B is the build folder (default build); for --full it holds bench/node with onnxruntime-node.
"""
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import torch
import torchvision
from torch import nn

from kiln_model import KILN, ROOT, run

sys.path.append(os.path.join(ROOT, "bench"))
from peers import OnnxRuntime  # noqa: E402

PAGE = os.path.join(ROOT, "docs", "onnx.md")
BEGIN, END = "<!-- make onnx-networks -->\n", "<!-- end of networks -->\n"
LIMIT = 1e-4  # of the output's standard deviation; past it, the a-priori bound of kiln verify

# {network: opset}. Exporters are of all ages; so are these files.
NETWORKS = {
    "resnet18": 13, "resnet34": 11, "resnet50": 9, "resnet101": 14, "resnet152": 17, "wide_resnet50_2": 12,
    "resnext50_32x4d": 16, "vgg11": 9, "vgg11_bn": 13, "vgg13": 10, "vgg13_bn": 14, "vgg16": 13, "vgg16_bn": 9,
    "vgg19": 17, "vgg19_bn": 11, "alexnet": 9, "squeezenet1_0": 12, "squeezenet1_1": 9, "googlenet": 13,
    "densenet121": 11, "mobilenet_v2": 10, "mobilenet_v3_small": 11, "mobilenet_v3_large": 14, "mnasnet1_0": 15,
    "shufflenet_v2_x1_0": 13, "regnet_x_400mf": 9, "regnet_y_400mf": 12, "efficientnet_b0": 13,
}
# The exporter folds batch norm into convolutions, except in these.
KEEP_NORMS = ("resnet18", "resnext50_32x4d", "vgg11_bn", "densenet121", "mobilenet_v2", "mobilenet_v3_small",
              "shufflenet_v2_x1_0", "efficientnet_b0")
# Files as they were up to IR version 3: weights are listed as inputs too.
WEIGHTS_AS_INPUTS = ("resnet50", "squeezenet1_1", "regnet_x_400mf")
OPTIONS = {"googlenet": {"aux_logits": False, "init_weights": False}}
QUICK = ("resnet18", "squeezenet1_1", "googlenet", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x1_0",
         "regnet_y_400mf", "efficientnet_b0")
# Also exported with dimensions left open; also converted to kiln's own format.
DYNAMIC = ("resnet18", "shufflenet_v2_x1_0", "mobilenet_v2")
CONVERTED = ("resnet18", "mobilenet_v3_small", "shufflenet_v2_x1_0", "efficientnet_b0", "googlenet")


class Network:
    """A module ready to evaluate, an input, and what PyTorch computes from it in double."""

    def __init__(self, name, size, classes):
        self.name, self.opset = name, NETWORKS[name]
        torch.manual_seed(sum(name.encode()))
        make = getattr(torchvision.models, name)
        self.module = make(weights=None, num_classes=classes, **OPTIONS.get(name, {})).eval()
        self.settle_norms(size)
        self.x = torch.randn(1, 3, size, size)
        with torch.no_grad():
            self.want = self.module.double()(self.x.double()).numpy()
        self.module.float()
        self.n_parameters = sum(p.numel() for p in self.module.parameters())

    def settle_norms(self, size):
        """Running statistics as of a batch of this input's kind: activations stay of one scale."""
        norms = [m for m in self.module.modules() if isinstance(m, nn.BatchNorm2d)]
        for m in norms:
            m.train()
            m.momentum = None
        with torch.no_grad():
            self.module(torch.randn(4, 3, size, size))
        for m in norms:
            m.eval()
            nn.init.uniform_(m.weight, 0.8, 1.2)
            nn.init.normal_(m.bias, std=0.1)

    def export(self, path, **options):
        mode = torch.onnx.TrainingMode
        kept = self.name in KEEP_NORMS
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(self.module, self.x, path, opset_version=self.opset, input_names=["image"],
                              output_names=["scores"], training=mode.PRESERVE if kept else mode.EVAL,
                              do_constant_folding=not kept,
                              keep_initializers_as_inputs=self.name in WEIGHTS_AS_INPUTS, **options)
        return path

    def error(self, got, want=None):
        """Largest difference, in standard deviations of the output."""
        want = self.want if want is None else want
        if got.shape != want.shape:
            raise RuntimeError(f"shape {got.shape}, expected {want.shape}")
        return np.abs(got.astype(np.float64) - want).max() / self.want.std()


# ---- kiln and ONNX Runtime --------------------------------------------------------------------


def seconds(command):
    """Runs a command; the processor time it took, which other work on the machine does not lengthen."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run_program(program, x, folder):
    image, out = os.path.join(folder, "image.npy"), os.path.join(folder, "out")
    np.save(image, x)
    os.makedirs(out, exist_ok=True)
    run([program, "--in", "image=" + image, "--out", out])
    return np.load(os.path.join(out, "scores.npy"))


def build(model, folder, *options):
    program = os.path.join(folder, "program")
    return program, seconds([KILN, "build", model, "-q", "--weights", "file", "-o", program, *options])


def onnx_runtime(model, net, folder):
    """What ONNX Runtime computes."""
    image, out = os.path.join(folder, "image.f32"), os.path.join(folder, "ort.f32")
    net.x.numpy().tofile(image)
    run(OnnxRuntime.command(model, image, net.x.shape, out), stdin=subprocess.DEVNULL)
    return np.fromfile(out, np.float32).reshape(net.want.shape)


def a_priori_bound(model):
    """What kiln verify allows, in standard deviations of the output; it fails where kiln is past it."""
    row = next(line.split() for line in run([KILN, "verify", model, "--weights", "file"]).splitlines()
               if " scores " in line)
    return float(row[7]) / float(row[2])


# ---- what is checked --------------------------------------------------------------------------


def check_plain(net, folder, full):
    """Built and run; a row of the table, and what is wrong."""
    model = net.export(os.path.join(folder, net.name + ".onnx"))
    compiled = seconds([KILN, "compile", model, "-q", "--weights", "file", "-o", os.path.join(folder, "c.c")])
    program, built = build(model, folder)
    got = run_program(program, net.x.numpy(), folder)
    error = net.error(got)
    limit = LIMIT if error <= LIMIT else a_priori_bound(model)
    row = [net.name, str(net.opset), f"{net.n_parameters / 1e6:.2f}", f"{error:.1e}", f"{limit:.0e}"]
    wrong = [] if error <= limit else [f"error {error:.3g} of the output's deviation, limit {limit:.3g}"]
    if full:
        theirs = onnx_runtime(model, net, folder)
        other = net.error(got, theirs)
        row += [f"{other:.1e}", f"{net.error(theirs):.1e}"]
        if not other <= 2 * limit:
            wrong.append(f"{other:.3g} of the output's deviation away from ONNX Runtime")
    return row + [f"{compiled:.2f}", f"{max(built - compiled, 0):.1f}"], wrong


def check_converted(net, folder):
    """The same network as JSON and safetensors gives the same bytes of C and of weights."""
    model, other = os.path.join(folder, net.name + ".onnx"), os.path.join(folder, net.name + ".json")
    run([KILN, "convert", model, "-q", "-o", other])
    made = []
    for source, part in ((model, "a"), (other, "b")):
        os.makedirs(os.path.join(folder, part), exist_ok=True)
        stem = os.path.join(folder, part, "net")
        run([KILN, "compile", source, "-q", "--name", "net", "--weights", "file", "-o", stem + ".c"])
        made.append([stem + end for end in (".c", ".h", ".weights.bin")])
    return [f"{os.path.basename(a)} differs between ONNX and its conversion" for a, b in zip(*made)
            if not same_bytes(a, b, net.name)]


def same_bytes(a, b, name):
    """The C names the model file it was made from; nothing else may differ."""
    with open(a, "rb") as f, open(b, "rb") as g:
        return f.read().replace(f"{name}.onnx".encode(), f"{name}.json".encode()) == g.read()


def check_dynamic(net, folder):
    """Open dimensions: refused with the way out, then fixed, by --shape and by --batch."""
    size = net.x.shape[-1]
    model = net.export(os.path.join(folder, "open.onnx"),
                       dynamic_axes={"image": {0: "batch", 2: "height", 3: "width"}, "scores": {0: "batch"}})
    p = subprocess.run([KILN, "compile", model, "-o", os.path.join(folder, "open.c")], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True)
    wrong = [] if p.returncode == 1 and "--shape" in p.stdout else [f"open dimensions: {p.returncode} {p.stdout}"]
    program, _ = build(model, folder, "--shape", f"image=1x3x{size}x{size}")
    error = net.error(run_program(program, net.x.numpy(), folder))
    if not error <= LIMIT:
        wrong.append(f"--shape: error {error:.3g} of the output's deviation")
    model = net.export(os.path.join(folder, "batch.onnx"),
                       dynamic_axes={"image": {0: "batch"}, "scores": {0: "batch"}})
    program, _ = build(model, folder, "--batch", "2")
    pair = torch.cat([net.x, net.x.flip(3)])
    with torch.no_grad():
        want = net.module.double()(pair.double()).numpy()
    net.module.float()
    error = net.error(run_program(program, pair.numpy(), folder), want)
    return wrong if error <= LIMIT else wrong + [f"--batch 2: error {error:.3g} of the output's deviation"]


def check(name, full, folder):
    """The network's row, or None where it failed, and [(what was checked, what is wrong or None)]."""
    net = Network(name, *((224, 1000) if full else (64, 10)))
    row, wrong = check_plain(net, folder, full)
    results = [(name, text) for text in wrong] or [(name, None)]
    for networks, what, step in ((CONVERTED, "converted", check_converted), (DYNAMIC, "dynamic", check_dynamic)):
        if name in networks:
            wrong = step(net, folder)
            results += [(f"{name} {what}", text) for text in wrong] or [(f"{name} {what}", None)]
    return row, results


# ---- the table --------------------------------------------------------------------------------

COLUMNS = ["network", "opset", "parameters, M", "error / std", "limit", "from ONNX Runtime", "ONNX Runtime's error",
           "kiln compile, s", "C compiler, s"]


def table_row(cells):
    return "| " + " | ".join(cells) + " |"


def write_page(lines):
    with open(PAGE) as f:
        before, rest = f.read().split(BEGIN)
    with open(PAGE, "w") as f:
        f.write(before + BEGIN + "\n" + "\n".join(lines) + "\n\n" + END + rest.split(END)[1])


def main():
    names = [a for a in sys.argv[1:] if not a.startswith("--")]
    full = "--full" in sys.argv
    columns = COLUMNS if full else COLUMNS[:5] + COLUMNS[7:]
    lines = [table_row(columns), "|---|" + "---:|" * (len(columns) - 1)]
    print("\n".join(lines), flush=True)
    counts = [0, 0]
    if full:
        OnnxRuntime.prepare(os.path.join(os.path.abspath(os.environ.get("B", "build")), "bench"))
    for name in names or (NETWORKS if full else QUICK):
        folder = tempfile.mkdtemp(prefix="kiln-onnx-network-")
        try:
            row, results = check(name, full, folder)
            lines.append(table_row(row))
            print(lines[-1], flush=True)
        except (RuntimeError, OSError) as e:
            results = [(name, e)]
        finally:
            shutil.rmtree(folder)
        for what, wrong in results:
            counts[wrong is not None] += 1
            if wrong is not None:
                print(f"FAIL onnx_networks/{what}: {wrong}", flush=True)
    if "--write" in sys.argv and not counts[1]:
        write_page(lines)
    print(f"{counts[0]} passed, {counts[1]} failed")
    return 1 if counts[1] else 0


if __name__ == "__main__":
    sys.exit(main())

"""Writes kiln models (JSON + safetensors), builds them with kiln, runs the programs."""
import json
import os
import shlex
import struct
import subprocess

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KILN = os.path.join(ROOT, os.environ.get("KILN", os.path.join(os.environ.get("B", "build"), "kiln")))

TYPES = {"float32": ("F32", "f32"), "float16": ("F16", "f16"), "int8": ("I8", "i8"),
         "uint8": ("U8", "u8"), "int32": ("I32", "i32")}


def write_safetensors(path, tensors):
    """tensors: {name: array}. Contents one after the other, the header padded to 8 bytes."""
    header, offset = {}, 0
    for name, a in tensors.items():
        header[name] = {"dtype": TYPES[a.dtype.name][0], "shape": list(a.shape),
                        "data_offsets": [offset, offset + a.nbytes]}
        offset += a.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for a in tensors.values():
            f.write(np.ascontiguousarray(a).tobytes())


class Counts:
    """What was checked, and what was wrong."""
    passed = failed = 0

    def check(self, what, ok):
        self.passed += bool(ok)
        self.failed += not ok
        if not ok:
            print(f"FAILED: {what}")


class Model:
    """A kiln model in the making."""

    def __init__(self, name):
        self.name = name
        self.inputs, self.nodes, self.outputs, self.tensors = [], [], [], {}

    def input(self, name, array_or_shape, elem="f32", layout=None):
        shape = list(getattr(array_or_shape, "shape", array_or_shape))
        entry = {"name": name, "shape": shape, "type": elem}
        if layout:
            entry["layout"] = layout
        self.inputs.append(entry)
        return name

    def node(self, name, op, inputs, params=None, **attrs):
        """params: {role: array}; the tensor is stored as NAME.ROLE."""
        entry = {"name": name, "op": op, "inputs": list(inputs)}
        if params:
            entry["params"] = {}
            for role, a in params.items():
                key = f"{name}.{role}"
                self.tensors[key] = np.asarray(a)
                entry["params"][role] = key
        if attrs:
            entry["attrs"] = attrs
        self.nodes.append(entry)
        return name

    def output(self, *names):
        self.outputs.extend(names)

    def write(self, folder):
        os.makedirs(folder, exist_ok=True)
        graph = {"format": "kiln-graph", "version": 1, "name": self.name}
        if self.tensors:
            graph["weights"] = self.name + ".safetensors"
            write_safetensors(os.path.join(folder, graph["weights"]), self.tensors)
        graph.update(inputs=self.inputs, nodes=self.nodes, outputs=self.outputs)
        path = os.path.join(folder, self.name + ".json")
        with open(path, "w") as f:
            json.dump(graph, f, indent=1)
        return path


def run(command, **kwargs):
    """Runs a command; its output. A failure says the command and what it printed."""
    p = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kwargs)
    if p.returncode != 0:
        raise RuntimeError(f"exit {p.returncode}: {shlex.join(command)}\n{p.stdout[-3000:]}")
    return p.stdout


EMULATORS = {"aarch64": ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]}


def targets():
    """{name: emulator command} of the targets whose programs run here, as kiln says; c99 first. Without
    --fp fast, x86-avx512-bf16 and x86-amx have the code of x86-avx512 (fast.py looks at the rest), and that has no
    code that x86-zen4 has not."""
    rows = [line.replace(" *", "  ").split() for line in run([KILN, "targets"]).splitlines()[2:]]
    found = {row[0]: [] for row in rows if "here" in row}
    for name in "x86-avx512-bf16", "x86-amx":
        found.pop(name, None)
    if "x86-zen4" in found:
        found.pop("x86-avx512", None)
    found.update({name: command for name, command in EMULATORS.items() if name not in found})
    return {"c99": [], **found}


def build(path, folder, target, *options):
    """Builds the model for a target; the program."""
    os.makedirs(folder, exist_ok=True)
    program = os.path.join(folder, "program-" + target)
    run([KILN, "build", path, "-q", "--target", target, "-o", program, *options])
    return program


def run_built(program, inputs, folder, target, *arguments):
    """Runs what `build` made on {name: array}; {output: array}."""
    command = targets().get(target, []) + [program]
    for name, a in inputs.items():
        file = os.path.join(folder, name + ".in.npy")
        np.save(file, a)
        command += ["--in", f"{name}={file}"]
    out = os.path.join(folder, "out-" + target)
    os.makedirs(out, exist_ok=True)
    run(command + ["--out", out, *arguments])
    return {f[:-4]: np.load(os.path.join(out, f)) for f in sorted(os.listdir(out)) if f.endswith(".npy")}


def build_and_run(path, inputs, folder, target, *options):
    return run_built(build(path, folder, target, *options), inputs, folder, target)

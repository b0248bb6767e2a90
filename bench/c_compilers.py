"""The code that kiln emits, by each C compiler that is installed: a few networks, one thread."""
import os
import re
import shutil
import subprocess

import measure
from kiln_model import KILN, run, targets
from peers import Kiln

NETWORKS = ("resnet18", "resnext50", "mobilenet_v2", "lenet5")
TARGETS = ("x86-zen4", "x86-avx512", "x86-avx2", "aarch64")  # those that need no emulator
DEFAULT = os.environ.get("CC", "cc")  # what kiln build calls


def version(command):
    """What a compiler calls itself, "clang 19.1.7"; "" where there is none."""
    if not shutil.which(command):
        return ""
    said = subprocess.run([command, "--version"], stdout=subprocess.PIPE, text=True).stdout
    number = re.search(r"\d+\.\d+\.\d+", said.split("\n")[0])
    kind = "clang" if "clang" in said else "gcc"
    return f"{kind} {number.group()}" if number else ""


def installed():
    """{version: command}, that of DEFAULT first."""
    named = [f"{kind}-{n}" for kind in ("gcc", "clang") for n in range(9, 40)]
    found = {}
    for command in (DEFAULT, "gcc", "clang", *named):
        found.setdefault(version(command), command)
    return {name: command for name, command in found.items() if name}


def by_compiler(files, compilers, target, say, settle):
    """{version: [median, minimum, number of runs]} in ms, measured in turns."""
    programs = {}
    for name, command in compilers.items():
        say(f"building for {target} with {name}")
        programs[name] = f"{files.stem}-{target}-{name.replace(' ', '-')}"
        run([KILN, "build", files.onnx, "-q", "--weights", "file", "--target", target, "-o", programs[name],
             *measure.kiln_flags()], env={**os.environ, "CC": command})
    settle()
    peers = {name: Kiln(files, program, 1) for name, program in programs.items()}
    return measure.take_turns(peers, lambda text: say(f"C compilers, {target}, {text}"))


def network(files, say, settle):
    """{target: by_compiler's} of those in TARGETS that run here; {} where there is nothing to compare."""
    compilers = installed()
    if files.name not in NETWORKS or len(compilers) < 2:
        return {}
    runs_here = targets()
    return {t: by_compiler(files, compilers, t, say, settle) for t in TARGETS if runs_here.get(t) == []}

"""The code that kiln emits, by each C compiler that is installed: a few networks, one thread."""
import os
import re
import shutil
import subprocess

import measure
from kiln_model import KILN, run
from peers import Kiln

NETWORKS = ("resnet18", "resnext50", "mobilenet_v2", "lenet5")
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


def network(files, say, settle):
    """{version: [median, minimum, number of runs]} in ms, measured in turns; {} where there is nothing to compare."""
    compilers = installed()
    if files.name not in NETWORKS or len(compilers) < 2:
        return {}
    programs = {}
    for name, command in compilers.items():
        say(f"building with {name}")
        programs[name] = files.stem + "-" + name.replace(" ", "-")
        run([KILN, "build", files.onnx, "-q", "--weights", "file", "-o", programs[name], *measure.kiln_flags()],
            env={**os.environ, "CC": command})
    settle()
    peers = {name: Kiln(files, program, 1) for name, program in programs.items()}
    return measure.take_turns(peers, lambda text: say(f"C compilers, {text}"))

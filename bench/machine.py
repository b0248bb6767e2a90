"""This machine: its processors, what they can do at most, the versions of what is measured, and how a
command is run undisturbed."""
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys

import torch

from kiln_model import KILN, ROOT, run

HERE = os.path.dirname(os.path.abspath(__file__))
PROCESSORS = sorted(os.sched_getaffinity(0))
IS_X86 = platform.machine() in ("x86_64", "i686")


def pinned_to(processors):
    """The start of a command that is to have these processors, ahead of everything else that runs there, where
    that is allowed."""
    first = ["chrt", "-f", "50"] if os.geteuid() == 0 else []
    return first + ["taskset", "-c", ",".join(map(str, processors))]


def pinned(threads):
    """... `threads` processors, those that come first."""
    return pinned_to(PROCESSORS[:threads])


# Runs a command COUNT times. What the kernel says of the memory of a process includes what its parent held
# when it made it, so the parent has to be small; this one is python without torch.
SPENT = """
import json, os, sys, time
out, spent = os.open(os.devnull, os.O_WRONLY), []
for _ in range(int(sys.argv[1])):
    start = time.monotonic()
    child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, out, 1)])
    _, status, usage = os.wait4(child, 0)
    if status:
        sys.exit(f"status {status}: {sys.argv[2:]}")
    spent.append([time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024])
print(json.dumps(spent))
"""


def spent(command, count=1, threads=1):
    """[(seconds, seconds of processor time, MB of the largest process)] of `count` runs."""
    said = run([*pinned(threads), sys.executable, "-S", "-c", SPENT, str(count), *command])
    return json.loads(said.splitlines()[-1])  # warnings come first


def limits_program(folder, *flags):
    """bench/limits.c, compiled."""
    program = os.path.join(folder, "limits")
    run(["cc", "-O3", "-march=native", "-ffp-contract=fast", "-D_GNU_SOURCE", "-pthread", "-o", program,
         os.path.join(HERE, "limits.c"), *flags])
    return program


def limits(folder):
    """{what: value} as bench/limits.c prints it; `fma_256` is of 256-bit vectors where there are wider ones."""
    def measured(*flags):
        program, best = limits_program(folder, *flags), {}
        for _ in range(3):
            for line in run(pinned(1) + [program]).splitlines():
                name, value = line.split()
                best[name] = max(best.get(name, 0), float(value))
        return best

    found = measured(*(["-mprefer-vector-width=512"] if IS_X86 else []))
    if found["vector_bits"] > 256:
        found["fma_256"] = measured("-mno-avx512f")["fma"]
    return found


def prefer_quiet(folder):
    """Puts the processors in order, the one that does most first: on rented machines strangers compute on the other
    hardware threads of the same cores, for minutes."""
    program, found = limits_program(folder), {p: [] for p in PROCESSORS}
    for _ in range(5):
        for processor, rates in found.items():
            rates.append(float(run([*pinned_to([processor]), program, "fed"]).split()[1]))
    PROCESSORS.sort(key=lambda p: -statistics.median(found[p]))


def together(folder):
    """What the first two processors do at the same time in multiply-adds, of what the better one does alone."""
    command = [*pinned(2), limits_program(folder), "together", *map(str, PROCESSORS[:2])]
    return statistics.median(float(run(command).split()[1]) for _ in range(9))


def first_line(command):
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              cwd=ROOT).stdout.splitlines()[0].strip()
    except (OSError, IndexError):
        return ""


def cpu_name():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.machine()


def cache(name):
    """Bytes of a cache as the system says, 0 where it does not."""
    value = first_line(["getconf", name])
    return int(value) if value.isdigit() else 0


def commit():
    """Of the sources kiln was made from, where they are in git."""
    return first_line(["git", "describe", "--always", "--dirty"]) or "not in git"


def description(ort_folder):
    """What the page says of the machine and of versions."""
    with open(os.path.join(ort_folder, "package.json")) as f:
        ort = json.load(f)["version"]
    with open("/proc/meminfo") as f:
        memory = int(f.readline().split()[1]) / 2**20
    return {
        "cpu": cpu_name(), "processors": len(PROCESSORS), "memory": memory,
        "caches": [cache(f"LEVEL{name}_SIZE") for name in ("1_DCACHE", "2_CACHE", "3_CACHE")],
        "system": f"{platform.system()} {platform.release()}", "date": datetime.date.today().isoformat(),
        "kiln": first_line([KILN, "--version"]), "cc": first_line(["cc", "--version"]),
        "ort": ort, "torch": torch.__version__, "flags": os.environ.get("KILN_FLAGS", ""),
    }

#!/usr/bin/python3
"""tune_zoo.py [NETWORK...] - kiln tune on networks of the zoo, for the machine it runs on.

Writes schedules/TARGET/NETWORK.json, of those that are faster than the defaults on this machine, and what they gain to
schedules/TARGET/README.md. A network that has a row there already is left as it is unless it is named. Some minutes a
network; a machine with nothing else to do gives the better schedules.

    tune_zoo.py --again [NETWORK...]    measures the schedules there are, against the defaults of kiln as it is now, and
                                        removes those that gain nothing any more"""
import datetime
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KILN = os.environ.get("KILN", os.path.join(ROOT, "build", "kiln"))

# name of the schedule: arguments of models/zoo
NETWORKS = {
    **{name: [name, "--form", "torchvision"]
       for name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "vgg16", "vgg19",
                    "googlenet", "densenet121", "squeezenet1_1", "mobilenet_v2")},
    "vgg11_gray": ["vgg11", "--form", "torchvision", "--channels", "1"],
    "nin": ["nin"],
    "resnet18_gray": ["resnet18", "--form", "textbook", "--channels", "1"],
    "resnet18_96": ["resnet18", "--form", "textbook", "--channels", "1", "--size", "96"],
    "vgg11_8": ["vgg11_8"],
    "lenet5": ["lenet5"],
}

ABOUT = """Schedules that `kiln tune` found, for `kiln compile --schedule`. `make schedules` writes this folder.

Machine: {cpu}, one thread. The last column is the time of the whole network with
its schedule, divided by that with the defaults of kiln at that date, in turns; 1: nothing was faster, and there is no
file. On the geometric mean the tuned networks take {mean:.3f} of the default's time.

| network | `models/zoo` | date | tuned / default |
|---|---|---|---:|
"""
ROW = re.compile(r"^\| (\S+) \| `(.*)` \| (\S+) \| (\S+) \|$")


def cpu_name():
    with open("/proc/cpuinfo") as f:
        return next(line.split(":")[1].strip() for line in f if line.startswith("model name"))


def rows_of(path):
    """{network: (arguments, date, ratio)}"""
    if not os.path.exists(path):
        return {}
    with open(path) as f:
        found = [ROW.match(line) for line in f]
    return {m[1]: (m[2], m[3], float(m[4])) for m in found if m}


def write_rows(path, rows):
    mean = math.exp(sum(math.log(ratio) for _, _, ratio in rows.values()) / len(rows))
    lines = [f"| {name} | `{rows[name][0]}` | {rows[name][1]} | {rows[name][2]:.3f} |\n" for name in NETWORKS
             if name in rows]
    with open(path, "w") as f:
        f.write(ABOUT.format(cpu=cpu_name(), mean=mean) + "".join(lines))


def run(command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def make(name, place):
    """The network as a file."""
    model = os.path.join(place, name + ".json")
    run([os.path.join(ROOT, "models", "zoo"), *NETWORKS[name], "-o", model])
    return model


def tune(name, place, folder):
    """The ratio of tuned to default; leaves a schedule in the folder, or none."""
    schedule = os.path.join(folder, name + ".json")
    said = run([KILN, "tune", make(name, place), "-o", schedule])
    print(said, flush=True)
    ratio = float(re.search(r": (\d\.\d+) of the default's time", said)[1])
    if ratio == 1:
        os.remove(schedule)
    return ratio


def times(program):
    return [float(t) for t in run([program, "--bench", "5"]).split()]


def measure(name, place, schedule):
    """The ratio of tuned to default: the median over nine turns."""
    model = make(name, place)
    programs = [os.path.join(place, which) for which in ("default", "tuned")]
    build = [KILN, "build", model, "-q", "--weights", "file", "-o"]
    run([*build, programs[0]])
    run([*build, programs[1], "--schedule", schedule])
    ratios = []
    for turn in range(9):
        found = {program: statistics.median(times(program)) for program in programs[::1 if turn % 2 else -1]}
        ratios.append(found[programs[1]] / found[programs[0]])
    return statistics.median(ratios)


def again(name, place, folder):
    """The same for the schedule there is; without one 1."""
    schedule = os.path.join(folder, name + ".json")
    ratio = measure(name, place, schedule) if os.path.exists(schedule) else 1.0
    print(f"{name}: {ratio:.3f}", flush=True)
    if ratio >= 1 and os.path.exists(schedule):
        os.remove(schedule)
    return min(ratio, 1.0)


def main():
    target = re.search(r"^(\S+) \*", run([KILN, "targets"]), re.MULTILINE)[1]
    folder = os.path.join(ROOT, "schedules", target)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "README.md")
    is_again = sys.argv[1:2] == ["--again"]
    work = again if is_again else tune
    for name in sys.argv[1 + is_again:] or [n for n in NETWORKS if (n in rows_of(path)) == is_again]:
        with tempfile.TemporaryDirectory() as place:
            ratio = work(name, place, folder)
        rows = rows_of(path)
        rows[name] = (" ".join(NETWORKS[name]), datetime.date.today().isoformat(), ratio)
        write_rows(path, rows)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)

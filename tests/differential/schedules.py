#!/usr/bin/python3
"""The schedules that kiln ships (schedules/TARGET): each compiles its network of the zoo for its target, changes what is
emitted, and computes the same; the small ones are run. Ends with `N passed, N failed`."""
import os
import re
import subprocess
import sys
import tempfile

from kiln_model import KILN, ROOT

ROW = re.compile(r"^\| (\S+) \| `(.*)` \| \S+ \| \S+ \|$")
RUN = ("nin", "resnet18_96", "vgg11_8", "lenet5", "squeezenet1_1")  # in seconds each


def kiln(*arguments):
    done = subprocess.run([KILN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout if done.returncode else ""


def check(name, zoo_arguments, target, schedule, place):
    """What is wrong, or nothing."""
    model, paths = os.path.join(place, name + ".json"), [os.path.join(place, f"{i}.c") for i in range(2)]
    subprocess.run([os.path.join(ROOT, "models", "zoo"), *zoo_arguments.split(), "-o", model], check=True)
    options = [model, "-q", "--target", target, "--weights", "file"]
    wrong = kiln("compile", *options, "-o", paths[0]) or kiln("compile", *options, "--schedule", schedule, "-o", paths[1])
    if wrong:
        return wrong
    with open(paths[0]) as default, open(paths[1]) as tuned:
        if default.read() == tuned.read():
            return "the schedule changes nothing"
    return kiln("verify", *options, "--schedule", schedule) if name in RUN else ""


def main():
    passed = failed = 0
    for target in sorted(os.listdir(os.path.join(ROOT, "schedules"))):
        folder = os.path.join(ROOT, "schedules", target)
        with open(os.path.join(folder, "README.md")) as f:
            rows = dict(m.groups() for m in map(ROW.match, f) if m)
        for file in sorted(f for f in os.listdir(folder) if f.endswith(".json")):
            name = file[:-len(".json")]
            with tempfile.TemporaryDirectory() as place:
                wrong = (check(name, rows[name], target, os.path.join(folder, file), place) if name in rows
                         else "it has no row in README.md")
            passed, failed = passed + (not wrong), failed + bool(wrong)
            if wrong:
                print(f"FAILED {target}/{file}: {wrong}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

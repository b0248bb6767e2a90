"""What compiling costs: kiln's time, the size of the C, the C compiler's time and memory. Times are of the
processor, so that other work on the machine does not lengthen them."""
import os
import re

import machine
from kiln_model import KILN, run

KIND = ("seconds", "C bytes", "cc seconds", "cc MB")


def c_flags(path):
    """What the emitted file says it has to be compiled with."""
    with open(path) as f:
        return re.search(r"Compile it with:  cc -O2 ?(.*?) -c ", f.read(4000)).group(1).split()


def compiled(model, stem, *options):
    """Figures of one compilation, by name: kiln's, then cc -O3 of what it made."""
    source = stem + ".c"
    [[_, seconds, _]] = machine.spent([KILN, "compile", model, "-q", "-o", source, *options])
    cc = ["cc", "-O3", *c_flags(source), "-I", os.path.join(machine.ROOT, "runtime"), "-c", source,
          "-o", stem + ".o"]
    [[_, cc_seconds, cc_mb]] = machine.spent(cc)
    return dict(zip(KIND, (seconds, os.path.getsize(source), cc_seconds, cc_mb)))


def network(files, say):
    """{kind: figures} of one network: weights in a file; for resnet18 inline as well, for resnet152 from
    kiln's own format as well."""
    say("compiling")
    stem = files.stem + "-compiled"
    found = {"file": compiled(files.onnx, stem, "--weights", "file")}
    if files.name == "resnet18":
        say("compiling, weights inside")
        found["inline"] = compiled(files.onnx, stem)
    if files.name == "resnet152":
        say("compiling from JSON")
        model = files.stem + ".json"
        run([KILN, "convert", files.onnx, "-q", "-o", model])
        found["JSON"] = compiled(model, stem, "--weights", "file")
    return found

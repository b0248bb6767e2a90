"""What is measured. All have the same methods: making one starts it and computes `error` of its first result;
times(untimed, timed) makes that many runs and gives the milliseconds of the timed ones; close() ends it."""
import os
import subprocess
import sys
from contextlib import closing

import numpy as np

import machine
from kiln_model import run

# Entries of ONNX Runtime's configuration that its documentation recommends trying.
TUNED = ["session.set_denormal_as_zero=1", "session.dynamic_block_base=4"]
PARALLEL = ["execution_mode=parallel"]


class Resident:
    """A process that writes its first result to files.output, says "ready ..." and then answers each line
    "UNTIMED TIMED" with times."""

    def __init__(self, command, files, threads):
        self.process = subprocess.Popen(machine.pinned(threads) + command, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        try:
            words = self.process.stdout.readline().split()
            if words[:1] != ["ready"]:
                raise RuntimeError("this does not start: " + " ".join(command))
            self.said = [float(w) for w in words[1:]]
            self.error = files.error(np.fromfile(files.output, np.float32))
        except BaseException:
            self.close()
            raise

    def times(self, untimed, timed):
        self.process.stdin.write(f"{untimed} {timed}\n")
        self.process.stdin.flush()
        found = [float(t) for t in self.process.stdout.readline().split()]
        if len(found) != timed:
            raise RuntimeError("this stopped: " + " ".join(self.process.args))
        return found

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class OnnxRuntime(Resident):
    """The shared library of npm's onnxruntime-node, through bench/ort.c."""
    folder = None   # of the package
    program = None  # bench/ort.c, compiled

    @classmethod
    def prepare(cls, folder):
        cls.folder = os.path.join(folder, "node", "node_modules", "onnxruntime-node")
        cls.program = os.path.join(folder, "ort")
        run(["cc", "-O2", "-D_GNU_SOURCE", "-o", cls.program, os.path.join(machine.HERE, "ort.c"), "-ldl"])

    @classmethod
    def library(cls):
        kind = {"x86_64": "x64", "aarch64": "arm64"}[os.uname().machine]
        for version in sorted(os.listdir(os.path.join(cls.folder, "bin"))):
            path = os.path.join(cls.folder, "bin", version, "linux", kind, "libonnxruntime.so.1")
            if os.path.exists(path):
                return path
        raise RuntimeError("no library for this machine in " + cls.folder)

    @classmethod
    def command(cls, model, raw_input, shape, output, threads=1, entries=()):
        return [cls.program, cls.library(), model, raw_input, "x".join(map(str, shape)), output, str(threads), *entries]

    def __init__(self, files, threads, entries=()):
        command = self.command(files.onnx, files.raw_input, files.shape, files.output, threads, entries)
        super().__init__(command, files, threads)
        self.session_ms, self.first_ms, self.peak_mb = self.said


class Torch(Resident):
    """PyTorch, through bench/torch_peer.py."""

    def __init__(self, files, threads, layout):
        super().__init__([sys.executable, os.path.join(machine.HERE, "torch_peer.py"), files.traced, files.input,
                          files.output, str(threads), layout], files, threads)


class Kiln:
    """A program of kiln's. It is started for each turn, and makes one more untimed run then."""

    def __init__(self, files, program, threads):
        self.command = machine.pinned(threads) + [program, "--in", "x=" + files.input]
        if threads > 1:
            self.command += ["--threads", str(threads)]
        run(self.command + ["--out", files.folder])
        self.error = files.error(np.load(os.path.join(files.folder, "y.npy")))

    def times(self, untimed, timed):
        lines = run(self.command + ["--bench", str(untimed + timed)]).split()
        return [float(t) for t in lines[untimed:]]

    def close(self):
        pass


def contestants(files, threads, running):
    """{name: started}: everything that takes turns on one network with that many threads. They end with `running`,
    an ExitStack."""
    def start(kind, *options):
        return running.enter_context(closing(kind(files, *options)))
    found = {"kiln": start(Kiln, files.programs[threads], threads)}
    for name, program in (("kiln inline", files.inline), ("kiln tuned", files.tuned)):
        if threads == 1 and program:
            found[name] = start(Kiln, program, 1)
    found["ort"] = start(OnnxRuntime, threads)
    found["ort tuned"] = start(OnnxRuntime, threads, TUNED)
    if threads > 1:
        found["ort parallel"] = start(OnnxRuntime, threads, PARALLEL)
    found["torch"] = start(Torch, threads, "plain")
    found["torch channels_last"] = start(Torch, threads, "channels_last")
    return found

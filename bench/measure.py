"""Measures one network: times in turns, errors, start, memory, batches."""
import os
import statistics
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import numpy as np
import torch

import machine
import peer_networks
from kiln_model import KILN, run
from peers import Kiln, OnnxRuntime, contestants

ROUNDS, TURN_MS, MOST_RUNS = 5, 120, 1000
PAUSE = 0.06  # seconds between turns; without them the kernel stops a process that is ahead of all others
STARTS = 3
INLINE_PARAMETERS = 12e6  # networks with more are not built with inline weights
BATCHES = {"resnet18": (8, 32), "googlenet": (8,), "mobilenet_v2": (8, 32), "lenet5": (8, 32)}
AGREE = 1e-3              # of the output's deviation; more is not the same network


class Files:
    """A network in a folder of its own, for everything that takes part."""

    def __init__(self, folder, name, batch=1):
        self.name = name
        os.makedirs(folder, exist_ok=True)

        def path(suffix):
            return os.path.join(folder, name + suffix)
        self.folder, self.stem = folder, path("")
        self.onnx, self.traced = path(".onnx"), path(".pt")
        self.input, self.raw_input, self.output = path(".npy"), path(".f32"), path(".output.f32")
        self.programs, self.inline, self.tuned = {}, None, None
        module, shape = peer_networks.make(name)
        self.shape = (batch, *shape[1:])
        self.n_parameters = sum(p.numel() for p in module.parameters())
        x = torch.randn(self.shape, generator=torch.Generator().manual_seed(1))
        x.numpy().tofile(self.raw_input)
        np.save(self.input, x.numpy())
        self.export(module, x)

    def export(self, module, x):
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(module, x, self.onnx, opset_version=13, input_names=["x"], output_names=["y"])
            if len(x) > 1:
                self.exact = module(x).numpy()
                return
            torch.jit.trace(module, x, check_trace=False).save(self.traced)
            self.exact = module.double()(x.double()).numpy()

    def build(self, threads):
        """A program with its weights in a file beside it."""
        program = f"{self.stem}-{threads}"
        flags = ["--threads", str(threads)] if threads > 1 else []
        run([KILN, "build", self.onnx, "-q", "--weights", "file", "-o", program, *flags, *kiln_flags()])
        self.programs[threads] = program

    def build_inline(self):
        """A program with kiln's default: weights inside."""
        self.inline = self.stem + "-inline"
        run([KILN, "build", self.onnx, "-q", "-o", self.inline, *kiln_flags()])

    def build_tuned(self, schedule):
        """A program as kiln tune found it faster."""
        self.tuned = self.stem + "-tuned"
        run([KILN, "build", self.onnx, "-q", "--weights", "file", "--schedule", schedule, "-o", self.tuned,
             *kiln_flags()])

    def error(self, got):
        """Largest difference from PyTorch, in standard deviations of the output; or a complaint. PyTorch computes
        one image in double precision, a batch in single."""
        if got.size != self.exact.size:
            raise RuntimeError(f"{self.name}: {got.size} outputs, expected {self.exact.size}")
        error = float(np.abs(got.ravel().astype(np.float64) - self.exact.ravel()).max() / self.exact.std())
        if not error <= AGREE:
            raise RuntimeError(f"{self.name}: an output is {error:.3g} of its deviation off")
        return error


def build_all(files, threads, schedule):
    """Every program of a network, as many at once as there are processors."""
    jobs = [lambda n=n: files.build(n) for n in threads]
    if files.n_parameters <= INLINE_PARAMETERS:
        jobs.append(files.build_inline)
    if os.path.exists(schedule):
        jobs.append(lambda: files.build_tuned(schedule))
    with ThreadPoolExecutor(len(machine.PROCESSORS)) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()


def kiln_flags():
    return os.environ.get("KILN_FLAGS", "").split()


# ---- times -----------------------------------------------------------------------------------------


def runs_a_turn(ms):
    return max(2, min(MOST_RUNS, round(TURN_MS / ms)))


def take_turns(peers, say):
    """{name: [median, minimum, number of runs]} in ms, from rounds in which each peer has one turn."""
    names = list(peers)
    runs = {name: runs_a_turn(statistics.median(peers[name].times(1, 3))) for name in names}
    times = {name: [] for name in names}
    for r in range(ROUNDS):
        say(f"round {r + 1} of {ROUNDS}")
        for name in names[r % len(names):] + names[:r % len(names)]:
            time.sleep(PAUSE)
            times[name] += peers[name].times(1 + runs[name] // 10, runs[name])
    return {name: [statistics.median(t), min(t), len(t)] for name, t in times.items()}


def timed(files, threads, say):
    """Times and errors of everyone."""
    what = f"{threads} thread{'s' * (threads > 1)}"
    say(f"{what}, start")
    with ExitStack() as running:
        peers = contestants(files, threads, running)
        times = take_turns(peers, lambda text: say(f"{what}, {text}"))
        return times, {name: peer.error for name, peer in peers.items()}


# ---- what happens once -----------------------------------------------------------------------------


def starts(files):
    """Milliseconds from nothing to the first result. Of kiln it is the whole life of the program, reading of
    weights and input and writing of the output included; of ONNX Runtime, the making of the session and the
    first run."""
    command = [files.programs[1], "--in", "x=" + files.input, "--out", files.folder]
    kiln, ort, memory = [], [], []
    for _ in range(STARTS):
        kiln.append(machine.spent(command)[0][0] * 1e3)
        peer = OnnxRuntime(files, 1)
        peer.close()
        ort.append(peer.session_ms + peer.first_ms)
        memory.append(peer.peak_mb)
    return {"kiln": statistics.median(kiln), "ort": statistics.median(ort)}, statistics.median(memory)


def facts(files):
    """What the program says of itself: bytes of weights and arena, multiply-accumulates, peak memory."""
    said = {}
    for line in run([files.programs[1], "--info"]).splitlines():
        words = line.split()
        if words and words[0] in ("weights", "arena", "MACs"):
            said[words[0]] = int(words[1])
    top = run([files.programs[1], "--in", "x=" + files.input, "--top", "1"])
    said["peak"] = float(top.split("peak memory")[1].split()[0])
    return said


def batch(files, n, say):
    """{peer: images a second} with n images at once, one thread."""
    many = Files(os.path.join(files.folder, f"batch{n}"), files.name, n)
    program = f"{files.stem}-batch{n}"
    run([KILN, "build", files.onnx, "-q", "--weights", "file", "--batch", str(n), "-o", program, *kiln_flags()])
    with closing(OnnxRuntime(many, 1)) as ort:
        times = take_turns({"kiln": Kiln(many, program, 1), "ort": ort}, lambda text: say(f"batch of {n}, {text}"))
    return {peer: n / t[0] * 1e3 for peer, t in times.items()}


def network(folder, name, schedule, say, settle):
    """(files, record) of one network; `schedule` is of a file that need not be there. `settle` chooses processors."""
    say("exporting")
    files = Files(folder, name)
    threads = [1, 2] if len(machine.PROCESSORS) > 1 else [1]
    say("building")
    build_all(files, threads, schedule)
    say("start")
    record = {"parameters": files.n_parameters, **facts(files), "times": {}, "errors": {}}
    record["start"], record["ort peak"] = starts(files)
    for n in threads:
        settle()
        record["times"][str(n)], record["errors"][str(n)] = timed(files, n, say)
        if n == 2:
            record["together"] = machine.together(folder)
    record["batches"] = {str(n): batch(files, n, say) for n in BATCHES.get(name, ())}
    return files, record

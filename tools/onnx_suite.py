#!/usr/bin/python3
"""ONNX's backend suite: every node test compiled to C by kiln, built, run and compared. A test that is
inference of a convolutional network must pass; any other one must be refused with a message, or be right.

    tools/onnx_suite.py [--check | --write] [--all] [TEST ...]

Prints a table; ends with `N passed, N failed`. --write puts the table into docs/onnx.md, --check fails
where the one there is another. --all also builds with --fp exact, whose results must be the same bits on
every target. TEST: part of a name. B is the build folder (default build); it holds kiln.
"""
import collections
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "differential"))
import onnx_cases  # noqa: E402
from kiln_model import KILN, run  # noqa: E402

PAGE = os.path.join(ROOT, "docs", "onnx.md")
BEGIN, END = "<!-- make onnx-suite -->\n", "<!-- end -->\n"
CC = os.environ.get("CC", "cc")
BATCH = 24  # models in one program
STRICT = "-O1 -Wall -Wextra -Werror".split()
CHECKED = STRICT + "-pedantic -fsanitize=address,undefined -fno-sanitize-recover=all".split()
ELEMENTS = {"float": np.float32, "int32_t": np.int32, "int8_t": np.int8, "uint8_t": np.uint8}
# What kiln computes an element type of the suite in.
COMPUTED = {"int64": np.int32, "float64": np.float32, "float16": np.float32}


class Failure(Exception):
    """What is wrong with a test's result."""


# ---- one model --------------------------------------------------------------------------------


class Build:
    """A form of a case on its way through one target and --fp: the C, then its interface as the header has
    it."""

    def __init__(self, case, form, number, folder):
        self.case, self.form, self.ident, self.folder = case, form, f"t{number}", folder
        self.refusal = None

    def compile(self, target, fp):
        """Calls kiln. A refusal is a message and status 1; anything else is a failure."""
        model = os.path.join(self.folder, self.ident + ".onnx")
        with open(model, "wb") as f:
            f.write(self.form.model.SerializeToString())
        self.source = os.path.join(self.folder, self.ident + ".c")
        p = subprocess.run([KILN, "compile", model, "-q", "--name", self.ident, "--target", target, "--fp", fp,
                            "-o", self.source], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        text = p.stdout.decode("utf-8", "replace")
        if p.returncode == 1 and "error: " in text:
            self.refusal = text.split("error: ", 1)[1].splitlines()[0]
        elif p.returncode != 0:
            raise Failure(f"kiln ended with status {p.returncode}: {text.strip()[:300]}")

    def read_header(self):
        """Ports as (name, shape, numpy type), inputs first."""
        with open(self.source[:-1] + "h") as f:
            text = f.read()
        ports = re.findall(r"_SIZE (\d+) /\* (input|output): (.*), \[(.*)\]", text)
        self.call = re.search(rf"void ({self.ident}_infer)\(([^;]*)\);", text)
        types = re.findall(r"(\w+) \*\w+", self.call[2])
        if len(types) != len(ports):
            raise Failure("the header's macros and parameters do not match")
        parsed = [(name, tuple(int(d) for d in dims.split(",") if d), ELEMENTS[t])
                  for (_, _, name, dims), t in zip(ports, types)]
        n = sum(port[1] == "input" for port in ports)
        self.inputs, self.outputs = parsed[:n], parsed[n:]

    def input_bytes(self):
        parts = []
        for name, shape, kind in self.inputs:
            a = np.asarray(self.form.inputs[name])
            if a.shape != shape or (a.astype(kind) != a).any() and a.dtype.kind in "iu":
                raise Failure(f"input {name} is {a.shape} in the model and {shape} in C")
            parts.append(a.astype(kind).tobytes())
        return b"".join(parts)

    def output_bytes(self):
        return sum(int(np.prod(shape)) * np.dtype(kind).itemsize for _, shape, kind in self.outputs)

    def check(self, data):
        """Whether the outputs are the test's, by its own tolerances; integers to the last bit."""
        wanted = list(self.case.outputs.items())
        if len(wanted) != len(self.outputs):
            raise Failure(f"{len(self.outputs)} outputs, expected {len(wanted)}")
        offset = 0
        for (name, want), (_, shape, kind) in zip(wanted, self.outputs):
            got = np.frombuffer(data, kind, int(np.prod(shape)), offset).reshape(shape)
            offset += got.nbytes
            want = np.asarray(want)
            if got.shape != want.shape:
                raise Failure(f"output {name} has shape {got.shape}, expected {want.shape}")
            if kind != COMPUTED.get(want.dtype.name, want.dtype):
                raise Failure(f"output {name} is {kind.__name__}, expected {want.dtype}")
            close = got == want if kind != np.float32 else np.isclose(got, want, self.case.rtol, self.case.atol, True)
            if not np.all(close):
                at = np.unravel_index(np.argmin(close), got.shape)
                raise Failure(f"output {name} at {tuple(map(int, at))} is {got[at]}, expected {want[at]}")


# ---- a program of many models -----------------------------------------------------------------


def driver_text(builds):
    """A main that runs the models named by its arguments: inputs from standard input, outputs to standard
    output, each a buffer of its own."""
    lines = ["#include <stdio.h>", "#include <stdlib.h>", "#include <string.h>"]
    lines += [f'#include "{b.ident}.h"' for b in builds]
    lines += ["static void *filled(size_t n)", "{", "    void *p = malloc(n);",
              "    if (!p || fread(p, 1, n, stdin) != n)", "        exit(9);", "    return p;", "}", ""]
    for b in builds:
        names = [f"p{i}" for i in range(len(b.inputs) + len(b.outputs))]
        lines += [f"static void run_{b.ident}(void)", "{"]
        for name, (_, shape, kind) in zip(names, b.inputs + b.outputs):
            size = int(np.prod(shape)) * np.dtype(kind).itemsize
            lines.append(f"    void *{name} = {'filled' if name in names[:len(b.inputs)] else 'malloc'}({size});")
        lines.append(f"    {b.call[1]}({', '.join(names)});")
        for name, (_, shape, kind) in zip(names[len(b.inputs):], b.outputs):
            lines.append(f"    fwrite({name}, {np.dtype(kind).itemsize}, {int(np.prod(shape))}, stdout);")
        lines += [f"    free({name});" for name in names] + ["}", ""]
    lines += ["int main(int argc, char **argv)", "{", "    for (int i = 1; i < argc; i++) {"]
    lines += [f'        if (!strcmp(argv[i], "{b.ident}"))\n            run_{b.ident}();' for b in builds]
    return "\n".join(lines + ["    }", "    return 0;", "}", ""])


def flags_of(source):
    """What the head of the emitted file says to compile it with."""
    with open(source) as f:
        head = f.read(4000)
    line = re.search(r"Compile it with:\s+cc\s(.*?)\s-c\s", head, re.S)[1]
    return [w for w in line.replace("*", " ").split() if not w.startswith("-O")]


def compile_headers(source, folder, flags):
    """What the emitted files include from the system, compiled once: the vector headers are long. The
    options that use it."""
    with open(source) as f:
        names = ["stdint.h"] + re.findall(r"^#include <(.*)>$", f.read(), re.M)
    header = os.path.join(folder, "system.h")
    with open(header, "w") as f:
        f.write("".join(f"#include <{name}>\n" for name in names))
    run([CC, *flags, "-x", "c-header", header, "-o", header + ".gch"])
    return ["-include", header]


def link(builds, folder, flags):
    driver, program = os.path.join(folder, "driver.c"), os.path.join(folder, "program")
    with open(driver, "w") as f:
        f.write(driver_text(builds))
    command = [CC, *flags, "-I", builds[0].folder, "-o", program, driver, *[b.source for b in builds]]
    p = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if p.returncode != 0:
        said = p.stdout.strip().splitlines()
        raise Failure("the C compiler: " + next((line for line in said if "error:" in line), said[-1]))
    return program


def execute(program, builds):
    """The output bytes of each model; None where the program failed."""
    data = b"".join(b.input_bytes() for b in builds)
    p = subprocess.run([program, *[b.ident for b in builds]], input=data, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=300)
    if p.returncode != 0 or len(p.stdout) != sum(b.output_bytes() for b in builds):
        raise Failure(f"the program ended with status {p.returncode}: {p.stderr.decode().strip()[:300]}")
    outputs, offset = [], 0
    for b in builds:
        outputs.append(p.stdout[offset:offset + b.output_bytes()])
        offset += b.output_bytes()
    return outputs


def run_batch(builds, folder, flags):
    """[(build, output bytes or Failure)]. Where the whole does not work, each for itself."""
    os.makedirs(folder, exist_ok=True)
    try:
        return list(zip(builds, execute(link(builds, folder, flags), builds)))
    except (Failure, subprocess.TimeoutExpired) as e:
        if len(builds) == 1:
            return [(builds[0], e)]
    return [pair for b in builds for pair in run_batch([b], folder, flags)]


# ---- all models on one target -----------------------------------------------------------------


def prepare(build, target, fp):
    """None, or why the case failed before it became a program."""
    try:
        build.compile(target, fp)
        if build.refusal is None:
            build.read_header()
            build.input_bytes()
        return None
    except (Failure, subprocess.TimeoutExpired, KeyError) as e:
        return e


def run_target(cases, target, fp, folder, pool):
    """{form: ("pass", output bytes) | ("refused", message) | ("fail", what is wrong)}."""
    folder = os.path.join(folder, f"{target}-{fp}")
    os.makedirs(folder)
    forms = [(c, form) for c in cases for form in c.forms]
    builds = [Build(c, form, i, folder) for i, (c, form) in enumerate(forms)]
    wrong = list(pool.map(lambda b: prepare(b, target, fp), builds))
    results = {}
    for b, w in zip(builds, wrong):
        if w is not None:
            results[b.form] = ("fail", str(w))
        elif b.refusal is not None:
            results[b.form] = ("refused", b.refusal)
    ready = [b for b in builds if b.form not in results]
    batches = [ready[i:i + BATCH] for i in range(0, len(ready), BATCH)]
    if ready:
        flags = flags_of(ready[0].source) + (CHECKED if (target, fp) == ("c99", "strict") else STRICT)
        flags += compile_headers(ready[0].source, folder, flags)
    jobs = [pool.submit(run_batch, batch, os.path.join(folder, f"batch{i}"), flags) for i, batch in enumerate(batches)]
    for build, got in (pair for job in jobs for pair in job.result()):
        try:
            if isinstance(got, Exception):
                raise Failure(str(got))
            build.check(got)
            results[build.form] = ("pass", got)
        except Failure as e:
            results[build.form] = ("fail", str(e))
    return results


def combine(cases, runs):
    """One verdict a case, (kind, text), over its forms and all runs."""
    return {c.name: verdict(c, [{key: results[form] for key, results in runs.items()} for form in c.forms])
            for c in cases}


def verdict(case, found):
    """`found`: for each form, the result of each (target, --fp); --fp exact must give the same bits."""
    for results in found:
        for (target, fp), (kind, text) in results.items():
            if kind == "fail":
                return "fail", f"{target} --fp {fp}: {text}"
        exact = {text for (_, fp), (kind, text) in results.items() if fp == "exact" and kind == "pass"}
        if len(exact) > 1:
            return "fail", "--fp exact gives other bits on another target"
    every = [result for results in found for result in results.values()]
    refusals = [text for kind, text in every if kind == "refused"]
    if refusals and case.outside is None:
        return "fail", "refused: " + refusals[0]
    return ("refused", refusals[0]) if refusals else every[0]


# ---- the table --------------------------------------------------------------------------------


def reasons_text(cases):
    """3 float64, 1 training ..."""
    counts = collections.Counter(c.outside for c in cases)
    return ", ".join(f"{n} {reason}" for reason, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def table_text(cases, verdicts):
    rows, others, totals = [], [], [0, 0, 0, 0]
    groups = collections.defaultdict(list)
    for c in cases:
        groups[c.label].append(c)
    for label, group in sorted(groups.items()):
        if all(c.outside == "operator" for c in group) and all(verdicts[c.name][0] == "refused" for c in group):
            others.append(f"{label} {len(group)}")
            totals[0] += len(group)
            totals[3] += len(group)
            continue
        by_kind = {k: [c for c in group if verdicts[c.name][0] == k] for k in ("pass", "fail", "refused")}
        numbers = [len(group)] + [len(by_kind[k]) for k in ("pass", "fail", "refused")]
        totals = [a + b for a, b in zip(totals, numbers)]
        rows.append([label, *map(str, numbers), reasons_text(by_kind["refused"])])
    inside = [c for c in cases if c.outside is None]
    right = sum(verdicts[c.name][0] == "pass" for c in inside)
    rows.append(["other operators", str(sum(int(o.split()[-1]) for o in others)), "0", "0",
                 str(sum(int(o.split()[-1]) for o in others)), "below"])
    rows.append(["all", *map(str, totals), ""])
    lines = ["| operator | tests | pass | fail | not supported | which |", "|---|---:|---:|---:|---:|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    lines += ["", f"Of {len(inside)} tests that are inference of a convolutional network, {right} pass.", "",
              "Other operators, with their tests: " + ", ".join(others) + ".", ""]
    return "\n".join(lines)


def page_parts():
    with open(PAGE) as f:
        before, rest = f.read().split(BEGIN)
    return before, *rest.split(END)


def page_step(options, table):
    """Writes or checks the table of the page; what is wrong with it."""
    if not options & {"--write", "--check"}:
        return []
    before, old, after = page_parts()
    if "--write" in options:
        with open(PAGE, "w") as f:
            f.write(before + BEGIN + "\n" + table + "\n" + END + after)
    elif old.strip() != table.strip():
        return ["docs/onnx.md has another table; `make onnx-suite` renews it"]
    return []


def main():
    options = {a for a in sys.argv[1:] if a.startswith("--")}
    parts = [a for a in sys.argv[1:] if not a.startswith("--")]
    cases = [c for c in onnx_cases.load() if not parts or any(p in c.name for p in parts)]
    keys = [("c99", "strict"), ("native", "strict")]
    if "--all" in options:
        keys += [("c99", "exact"), ("native", "exact")]
    folder = tempfile.mkdtemp(prefix="kiln-onnx-")
    try:
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            runs = {(target, fp): run_target(cases, target, fp, folder, pool) for target, fp in keys}
    finally:
        shutil.rmtree(folder)
    verdicts = combine(cases, runs)
    table = table_text(cases, verdicts)
    wrong = [] if parts else page_step(options, table)
    print(table)
    for c in cases:
        if verdicts[c.name][0] == "fail":
            print(f"FAIL onnx/{c.name} ({c.label}): {verdicts[c.name][1]}")
    for text in wrong:
        print(f"FAIL {text}")
    failed = sum(kind == "fail" for kind, _ in verdicts.values()) + len(wrong)
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""kiln against ONNX Runtime and PyTorch.

    bench.py FOLDER                   measures every network; writes docs/performance.md and .svg, and the table of
                                      the README
    bench.py FOLDER NETWORK...        measures these and prints their tables
    bench.py FOLDER --resume          goes on where an interrupted run stopped
    bench.py FOLDER --update NETWORK...   measures these again for the page
    bench.py FOLDER --render          prints what is there of the last run; writes the page if that is all
    bench.py FOLDER --tune [NETWORK...]   lets kiln tune search for schedules, some minutes a network; FOLDER/schedules
                                      keeps them, and the networks that have one are then measured with it as well

FOLDER holds node/node_modules/onnxruntime-node (tools/install-ort.sh) and, after a run, results.jsonl. KILN_FLAGS
holds further options of kiln build."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests", "differential"))
import algorithms  # noqa: E402
import c_compilers  # noqa: E402
import compilers  # noqa: E402
import machine  # noqa: E402
import measure  # noqa: E402
import one_by_one  # noqa: E402
import page  # noqa: E402
import tables  # noqa: E402
from kiln_model import KILN  # noqa: E402
from peer_networks import NETWORKS  # noqa: E402
from peers import OnnxRuntime  # noqa: E402


class Results:
    """Records of a run: one JSON object a line, added as they come, the last of a name counts."""

    def __init__(self, path):
        self.path, self.found = path, {}
        if path and os.path.exists(path):
            with open(path, "rb+") as f:
                text = f.read()
                f.truncate(text.rfind(b"\n") + 1)  # the last line of an interrupted run may be cut
            for line in text.splitlines()[:text.count(b"\n")]:
                entry = json.loads(line)
                self.found[entry["name"]] = entry["record"]

    def forget(self):
        self.found = {}
        if os.path.exists(self.path):
            os.remove(self.path)

    def add(self, name, record):
        self.found[name] = record
        if self.path:
            with open(self.path, "a") as f:
                f.write(json.dumps({"name": name, "record": record}) + "\n")

    def networks(self):
        return {name: self.found[name] for name in NETWORKS if name in self.found}

    def missing(self):
        return [name for name in ("machine", *NETWORKS) if name not in self.found]


def progress(label):
    """Says what is being done, on a terminal; elsewhere nothing. Empty text takes the line away."""
    def say(text):
        if sys.stderr.isatty():
            print("\r\033[K" + (f"{label}: {text}" if text else ""), end="", file=sys.stderr, flush=True)
    return say


@contextmanager
def place_of(folder, name):
    """A folder for the files of one network; some have a gigabyte, so they go at the end."""
    place = os.path.join(folder, "nets", name)
    shutil.rmtree(place, ignore_errors=True)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def schedule_of(folder, name):
    return os.path.join(folder, "schedules", name + ".json")


def tune(folder, names):
    """Leaves a schedule of each network; the number of networks that failed."""
    os.makedirs(os.path.join(folder, "schedules"), exist_ok=True)
    failed = 0
    for name in names:
        with place_of(folder, name) as place:
            files = measure.Files(place, name)
            print(f"{name}:", flush=True)
            failed += subprocess.call([KILN, "tune", files.onnx, "-o", schedule_of(folder, name)]) != 0
    return failed


def measure_network(folder, name, say):
    start = time.monotonic()
    with place_of(folder, name) as place:
        def settle():
            machine.prefer_quiet(folder)
        files, record = measure.network(place, name, schedule_of(folder, name), say, settle)
        record["C compilers"] = c_compilers.network(files, say, settle)
        record.update(compile=compilers.network(files, say), commit=machine.commit())
        say("")
        return {**record, "seconds": time.monotonic() - start}


def measure_all(folder, names, results):
    """Measures what is asked for; the number of networks that failed."""
    OnnxRuntime.prepare(folder)
    if "machine" not in results.found:
        machine.prefer_quiet(folder)
        limits = machine.limits(folder)
        results.add("machine", {**machine.description(OnnxRuntime.folder), "limits": limits,
                                "one by one": one_by_one.measured(folder, limits),
                                "algorithms": algorithms.measured()})
    failed = 0
    for i, name in enumerate(names):
        try:
            record = measure_network(folder, name, progress(f"{i + 1} of {len(names)}, {name}"))
        except (RuntimeError, OSError) as problem:
            failed += 1
            print(f"{name}: FAILED: {problem}", file=sys.stderr)
            continue
        results.add(name, record)
        times = record["times"]["1"]
        print(f"{tables.TITLES[name]}: kiln {tables.number(times['kiln'][0])} ms, "
              f"ONNX Runtime {tables.number(times['ort'][0])} ms", flush=True)
    return failed


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("folder")
    parser.add_argument("names", nargs="*", metavar="NETWORK")
    for option in ("resume", "update", "render", "tune"):
        parser.add_argument("--" + option, action="store_true")
    found = parser.parse_intermixed_args()
    unknown = [name for name in found.names if name not in NETWORKS]
    if unknown:
        parser.error(f"no such network: {', '.join(unknown)}; there are {', '.join(NETWORKS)}")
    if found.update and not found.names:
        parser.error("--update: which networks?")
    return found


def main():
    asked = arguments()
    folder = os.path.abspath(asked.folder)
    if asked.tune:
        return 1 if tune(folder, asked.names or NETWORKS) else 0
    only_print = asked.names and not asked.update
    results = Results(None if only_print else os.path.join(folder, "results.jsonl"))
    if not (asked.names or asked.resume or asked.render):
        results.forget()
    names = asked.names or [name for name in NETWORKS if name in results.missing()]
    failed = 0 if asked.render else measure_all(folder, names, results)
    if results.networks():
        print("\n" + page.printed(results.found["machine"], results.networks()))
    if not only_print:
        if results.missing():
            print(f"\nNo page: still to be measured: {', '.join(results.missing())}")
            return 1
        page.write(results.found["machine"], results.networks())
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

"""The tables, from the records of the networks: each is (columns, rows of strings). A ratio is kiln's median
by the other's, so less is better."""
import math

from algorithms import ALGORITHMS

TITLES = {
    "resnet18": "ResNet-18", "resnet34": "ResNet-34", "resnet50": "ResNet-50", "resnet101": "ResNet-101",
    "resnet152": "ResNet-152", "resnext50": "ResNeXt-50 32x4d", "vgg11": "VGG-11, 1 channel", "vgg16": "VGG-16",
    "vgg19": "VGG-19", "nin": "NiN, 1 channel", "resnet18_gray": "ResNet-18, 1 channel",
    "resnet18_96": "ResNet-18, 1x96x96", "vgg11_8": "VGG-11 / 8, 1 channel", "googlenet": "GoogLeNet",
    "densenet121": "DenseNet-121", "squeezenet": "SqueezeNet 1.1", "mobilenet_v2": "MobileNet-v2",
    "lenet5": "LeNet-5",
}
# {what: its column}, in order: kiln with other options, and peers.
KILNS = {"kiln inline": "kiln, weights inline", "kiln tuned": "kiln, tuned"}
PEERS = {"ort": "ONNX Runtime", "ort tuned": "ONNX Runtime, options", "ort parallel": "ONNX Runtime, parallel",
         "torch": "PyTorch", "torch channels_last": "PyTorch, channels_last"}


def number(x):
    """Three digits; no more than are known."""
    digits = 2 - math.floor(math.log10(x)) if x > 0 else 0
    return f"{x:.{max(0, digits)}f}"


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def ratio(record, threads, peer="ort", which=0):
    """Of medians; which = 1: of the fastest runs."""
    times = record["times"][threads]
    return times["kiln"][which] / times[peer][which]


def best_peer(record, threads):
    times = record["times"][threads]
    return min((p for p in PEERS if p in times), key=lambda p: times[p][0])


def has_two_threads(records):
    return all("2" in r["times"] for r in records.values())


def cell(times, peer):
    return "{} ({})".format(*map(number, times[peer][:2])) if peer in times else ""


def means(values):
    """Geometric means of ratios, one a column."""
    return [f"**{geometric_mean(column):.2f}**" for column in zip(*values)]


def one_thread(records, fma_peak):
    measured = {k for r in records.values() for k in r["times"]["1"]}
    others = {k: title for k, title in {**KILNS, **PEERS}.items() if k in measured}
    columns = ["network", "GMAC", "kiln", *others.values(),
               "kiln / ONNX Runtime", "of fastest runs", "kiln / best peer", "GF/s", "of peak"]
    rows, ratios = [], []
    for name, r in records.items():
        times = r["times"]["1"]
        speed = 2e-6 * r["MACs"] / times["kiln"][0]
        ratios.append((ratio(r, "1"), ratio(r, "1", which=1), ratio(r, "1", best_peer(r, "1"))))
        rows.append([TITLES[name], number(r["MACs"] * 1e-9), cell(times, "kiln"), *(cell(times, k) for k in others),
                     *(f"{x:.2f}" for x in ratios[-1]), f"{speed:.0f}", f"{speed / fma_peak:.0%}"])
    rows.append(["**geometric mean**", *[""] * (2 + len(others)), *means(ratios), "", ""])
    return columns, rows


def two_threads(records):
    columns = ["network", "kiln", *PEERS.values(), "kiln / ONNX Runtime", "of fastest runs",
               "kiln / best peer", "kiln, two / one", "ONNX Runtime, two / one"]
    rows, ratios = [], []
    for name, r in records.items():
        times, alone = r["times"]["2"], r["times"]["1"]
        ratios.append((ratio(r, "2"), ratio(r, "2", which=1), ratio(r, "2", best_peer(r, "2")),
                       *(times[p][0] / alone[p][0] for p in ("kiln", "ort"))))
        rows.append([TITLES[name], cell(times, "kiln"), *(cell(times, p) for p in PEERS),
                     *(f"{x:.2f}" for x in ratios[-1])])
    rows.append(["**geometric mean**", *[""] * 6, *means(ratios)])
    return columns, rows


def errors(records):
    def cells(r):
        one, two = r["errors"]["1"], r["errors"].get("2", {})
        found = [one["kiln"], one.get("kiln inline"), two.get("kiln"), one["ort"], one["torch"]]
        return ["" if error is None else f"{error:.1e}" for error in found]
    return (["network", "kiln", "kiln, weights inline", "kiln, two threads", "ONNX Runtime", "PyTorch"],
            [[TITLES[name], *cells(r)] for name, r in records.items()])


def algorithms(machine):
    """Errors of single layers."""
    return (["layer", *ALGORITHMS],
            [[layer, *("" if e is None else f"{e:.1e}" for e in errors)] for layer, *errors in machine["algorithms"]])


def starts(records):
    columns = ["network", "kiln ms", "ONNX Runtime ms", "ratio", "kiln peak MB", "weights + arena MB",
               "ONNX Runtime peak MB"]
    rows, ratios = [], []
    for name, r in records.items():
        start = r["start"]
        ratios.append([start["kiln"] / start["ort"]])
        rows.append([TITLES[name], number(start["kiln"]), number(start["ort"]), f"{ratios[-1][0]:.2f}",
                     f"{r['peak']:.1f}", f"{(r['weights'] + r['arena']) / 2**20:.1f}", f"{r['ort peak']:.1f}"])
    rows.append(["**geometric mean**", "", "", *means(ratios), "", "", ""])
    return columns, rows


def batches(records):
    columns = ["network", "images at once", "kiln images/s", "ONNX Runtime images/s", "kiln / ONNX Runtime",
               "kiln, of one at a time"]
    rows = []
    for name, r in records.items():
        for n, speeds in r["batches"].items():
            alone = 1e3 / r["times"]["1"]["kiln"][0]
            rows.append([TITLES[name], n, number(speeds["kiln"]), number(speeds["ort"]),
                         f"{speeds['kiln'] / speeds['ort']:.2f}", f"{speeds['kiln'] / alone:.2f}"])
    return columns, rows


def c_compilers(records):
    """Times of the emitted code by C compiler: of the first in ms, of others by that of the first."""
    measured = {f"{TITLES[name]}, {target}": times for name, r in records.items()
                for target, times in r.get("C compilers", {}).items()}
    names = list(dict.fromkeys(c for times in measured.values() for c in times))
    rows, ratios = [], {c: [] for c in names[1:]}
    for title, times in measured.items():
        first = times.get(names[0])
        shares = {c: times[c][0] / first[0] for c in names[1:] if first and c in times}
        for c, share in shares.items():
            ratios[c].append(share)
        rows.append([title, cell(times, names[0]), *(f"{shares[c]:.2f}" if c in shares else "" for c in names[1:])])
    means = [f"**{geometric_mean(found):.2f}**" if found else "" for found in ratios.values()]
    return ["network", *names], rows and [*rows, ["**geometric mean**", "", *means]]


def compilers(records):
    columns = ["network", "parameters, M", "kiln compile, s", "C, KB", "cc -O3, s", "cc, MB"]
    kinds = {"file": "", "JSON": ", from JSON and safetensors", "inline": ", weights inline"}
    rows = []
    for name, r in records.items():
        for kind, suffix in kinds.items():
            if kind in r["compile"]:
                f = r["compile"][kind]
                rows.append([TITLES[name] + suffix, f"{r['parameters'] * 1e-6:.2f}", f"{f['seconds']:.2f}",
                             f"{f['C bytes'] / 1000:.0f}", f"{f['cc seconds']:.1f}", f"{f['cc MB']:.0f}"])
    return columns, rows


def overview(records):
    """What the README shows."""
    columns = ["network", "kiln ms", "ONNX Runtime ms", "PyTorch ms", "kiln / ONNX Runtime"]
    threads = has_two_threads(records)
    rows, ratios = [], []
    for name, r in records.items():
        times = r["times"]["1"]
        torch = min(times["torch"][0], times["torch channels_last"][0])
        ratios.append([ratio(r, n) for n in ("1", "2")[:1 + threads]])
        rows.append([TITLES[name], number(times["kiln"][0]), number(times["ort"][0]), number(torch),
                     *(f"{x:.2f}" for x in ratios[-1])])
    rows.append(["**geometric mean**", "", "", "", *means(ratios)])
    return columns + ["on two threads"] * threads, rows


def text(table):
    """As Markdown that can be read as it is: columns aligned, the first to the left."""
    columns, rows = table
    widths = [max(map(len, column)) for column in zip(columns, *rows)]

    def line(cells):
        first, *others = (c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths)))
        return f"| {' | '.join([first, *others])} |"
    rule = "|" + "|".join(["-" * (widths[0] + 2)] + ["-" * (w + 1) + ":" for w in widths[1:]]) + "|"
    return "\n".join([line(columns), rule, *map(line, rows)])

"""docs/performance.md and the table of the README, written from the records."""
import os
import statistics

import chart
import tables
from kiln_model import ROOT
from measure import PAUSE, ROUNDS, TURN_MS

PAGE, CHART = (os.path.join(ROOT, "docs", "performance" + end) for end in (".md", ".svg"))
README = os.path.join(ROOT, "README.md")
BEGIN, END = "<!-- make bench -->\n", "<!-- end of bench -->\n"


def size(n):
    return f"{n / 2**20:g} MiB" if n >= 2**20 else f"{n / 2**10:g} KiB"


def limits(machine):
    found = machine["limits"]
    bits = f"{found['vector_bits']:.0f}"
    narrow = f", {found['fma_256']:.0f} GF/s on vectors of 256" if "fma_256" in found else ""
    alone = [f"{speed:.0f} GF/s for {target} ({share:.0%} of the peak on its vectors)"
             for target, (speed, share) in machine["one by one"].items()]
    one_by_one = f"\nA chain of 1x1 convolutions, 256 channels on 28x28 pixels: {', '.join(alone)}." if alone else ""
    return f"""What one core can do, by `bench/limits.c`: {found['fma']:.0f} GF/s of fused multiply-adds on vectors of
{bits} bits{narrow}. It reads {found['l2']:.0f} GB/s from the second-level cache, {found['l3']:.0f} GB/s from the third and
{found['memory']:.0f} GB/s from memory. A network whose weights fit no cache takes at least their bytes by the last figure. Direct
sums reach 100 % of the peak at most; the other algorithms need fewer multiplications and can pass it.{one_by_one}"""


def commits(records):
    """Which kiln was measured; networks can have been measured again with a later one."""
    found = {}
    for name, r in records.items():
        found.setdefault(r["commit"], []).append(tables.TITLES[name])
    first, *others = sorted(found, key=lambda c: -len(found[c]))
    return first + "".join(f"; {c}: {', '.join(found[c])}" for c in others)


def about(machine, records):
    shown = [f"{size(n)} of {name}" for n, name in zip(machine["caches"], ("L1", "L2", "L3")) if n]
    flags = f", `{machine['flags']}`" if machine["flags"] else ""
    return f"""| | |
|---|---|
| machine | {machine['cpu']}, {machine['processors']} processors, {machine['memory']:.0f} GiB; {', '.join(shown)} |
| system | {machine['system']}; {machine['cc']} |
| kiln | {machine['kiln']}, {commits(records)}{flags} |
| ONNX Runtime | {machine['ort']}, the library of npm's onnxruntime-node |
| PyTorch | {machine['torch']}, Debian's python3-torch |
| date | {machine['date']} |"""


def standing(records, threads):
    """How many networks kiln is faster on, and which it is not."""
    slower = [tables.TITLES[name] for name, r in records.items() if tables.ratio(r, threads) > 1]
    behind = [tables.TITLES[name] for name, r in records.items()
              if tables.ratio(r, threads, tables.best_peer(r, threads)) > 1]
    n = len(records)
    return (f"kiln is faster than ONNX Runtime on {n - len(slower)} of {n} networks"
            + (f" (not on {', '.join(slower)})" if slower else "")
            + f", and faster than the best peer on {n - len(behind)}"
            + (f" (not on {', '.join(behind)})" if behind else "") + ".")


def minutes(records):
    return round(sum(r["seconds"] for r in records.values()) / 60)


def together(records):
    """What two processors could do, measured behind the times of each network on two threads."""
    found = [r["together"] for r in records.values() if "together" in r]
    if not found:
        return ""
    return (f" In multiply-adds the two processors did at the same time {statistics.median(found):.2f} times what the better "
            f"one did alone, between {min(found):.2f} and {max(found):.2f} times from network to network, so what only "
            f"computes takes at least {1 / statistics.median(found):.2f} of one thread's time.")


def two_threads(records):
    if not tables.has_two_threads(records):
        return "Not measured: there is one processor.\n"
    return f"""`kiln build --threads 2`, against the peers set to two threads. {standing(records, '2')}{together(records)}

{tables.text(tables.two_threads(records))}
"""


def c_compilers(records):
    table = tables.c_compilers(records)
    if not table[1]:
        return ""
    return f"""
The same C by other compilers that are installed, one thread, measured in turns: what kiln takes with `cc`, in ms, and how many
times as long with each of the others.

{tables.text(table)}
"""


def page(machine, records):
    mean = tables.geometric_mean([tables.ratio(r, "1") for r in records.values()])
    tuned = ("\n  *tuned*: with the schedule that `kiln tune` finds (`tools/bench.sh --tune`)."
             if any("kiln tuned" in r["times"]["1"] for r in records.values()) else "")
    return f"""# Performance

`make bench` measures all of this page on the machine it runs on and writes it. Here it took {minutes(records)} minutes.

{about(machine, records)}

The networks have random weights, seeded, and batch-norm statistics as after training. torch exports each to ONNX,
and kiln and ONNX Runtime read the same file. fp32, batch 1, input 3x224x224 unless the name says otherwise
(1 channel: 1x224x224; LeNet-5: 1x28x28).

All that is compared on a network is running at the same time and takes turns: {ROUNDS} rounds, in each a turn of about {TURN_MS} ms
for everyone, begun by untimed runs, {PAUSE * 1000:.0f} ms apart, the order changing from round to round. Processes are bound to
processors (`taskset`), before each network to the one where multiply-adds that read memory are fastest, since strangers
may be computing on the same cores; if `make bench` may do that, they come before others there (`chrt`). Times are the median of all runs, in ms, and
in parentheses the fastest. A ratio is kiln's median divided by the other's: below 1, kiln is faster.

- *kiln*: `kiln build --weights file`, for the target of the machine. *weights inline* is kiln's default, one C file with
  the weights in it; networks of up to 12 million parameters are built so as well.{tuned}
- *ONNX Runtime*: its defaults, but for the number of threads, through its C interface. *options*:
  `session.set_denormal_as_zero` and `session.dynamic_block_base=4`, which its documentation suggests. *parallel*: its execution
  mode of that name.
- *PyTorch*: `torch.jit.trace`, `freeze` and `optimize_for_inference`. *channels_last*: the same with weights and input in that
  memory format.

## One thread

On the geometric mean kiln takes {mean:.2f} of ONNX Runtime's time. {standing(records, '1')}

![Time of kiln by network, ONNX Runtime = 1](performance.svg)

{tables.text(tables.one_thread(records, machine['limits']['fma']))}

GF/s are two for each multiply-accumulate of the network as written, by the time; *of peak* is their share of what one
core can do at most.

{limits(machine)}

## Two threads

{two_threads(records)}
## Errors

The largest difference of any output from PyTorch in double precision, in standard deviations of the output. Everyone's first
result is checked before it is timed.

{tables.text(tables.errors(records))}

The same of single layers, random weights and input, by algorithm, as `kiln verify` finds it. What Winograd's method and
those for products of matrices sum up is larger than what is left of it; through a network that averages out.

{tables.text(tables.algorithms(machine))}

## Batches

Images a second on one thread, more is better; kiln built with `--batch`.

{tables.text(tables.batches(records))}

## Start and memory

Time to the first result, with files in the page cache, one thread. Of kiln it is the whole life of the program: it starts,
reads weights and input, computes, writes the output and ends. Of ONNX Runtime it is the making of the session and
the first run; the start of its process and the loading of its library are not counted. Peak memory is that of the
process (`VmHWM`), for ONNX Runtime after the first run.

{tables.text(tables.starts(records))}

## Compiling

Time of one processor for `kiln compile --weights file` from ONNX, the size of the C, and then `cc -O3` with the flags that the
C asks for: its time and the memory of its largest process.

{tables.text(tables.compilers(records))}
{c_compilers(records)}"""


def readme_block(machine, records):
    return f"""One thread, batch 1, fp32, {machine['cpu']}, against ONNX Runtime {machine['ort']} and PyTorch {machine['torch']}, medians of runs in turns.
[docs/performance.md](docs/performance.md) has two threads, errors, batches, memory, what compiling costs, and how it was measured.

{tables.text(tables.overview(records))}

![Time of kiln by network, ONNX Runtime = 1](docs/performance.svg)
"""


def printed(machine, records):
    """The tables for the terminal."""
    parts = [tables.one_thread(records, machine["limits"]["fma"])]
    if tables.has_two_threads(records):
        parts.append(tables.two_threads(records))
    parts += [tables.errors(records), tables.batches(records), tables.starts(records), tables.c_compilers(records),
              tables.compilers(records)]
    return "\n\n".join([about(machine, records), limits(machine), *(tables.text(t) for t in parts if t[1])])


def write(machine, records):
    """The page, its chart, and the block of the README."""
    with open(README) as f:
        before, rest = f.read().split(BEGIN)
    after = rest.split(END)[1]
    for path, content in ((PAGE, page(machine, records)), (CHART, chart.svg(records)),
                          (README, before + BEGIN + readme_block(machine, records) + END + after)):
        with open(path, "w") as f:
            f.write(content)

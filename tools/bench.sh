#!/bin/sh
# bench.sh [--resume | --render | --update | --tune] [NETWORK ...] - emitted code against other runtimes: all networks,
# for docs/performance.md, or some, for the terminal. bench/bench.py says more.
set -eu
cd "$(dirname "$0")/.."
B=${B:-build}
tools/install-ort.sh "$B/bench/node"
B=$B exec /usr/bin/python3 bench/bench.py "$B/bench" "$@"

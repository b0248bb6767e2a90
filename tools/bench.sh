#!/bin/sh
# bench.sh - emitted code against ONNX Runtime (npm's onnxruntime-node, kept in the build folder).
set -eu
cd "$(dirname "$0")/.."
B=${B:-build}
tools/install-ort.sh "$B/bench/node"
B=$B exec /usr/bin/python3 bench/bench.py "$B/bench" "$@"

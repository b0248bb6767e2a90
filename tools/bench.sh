#!/bin/sh
# bench.sh - emitted code against ONNX Runtime (npm's onnxruntime-node, kept in the build folder).
set -eu
cd "$(dirname "$0")/.."
B=${B:-build}
mkdir -p "$B/bench/node"
if [ ! -d "$B/bench/node/node_modules/onnxruntime-node" ]; then
    echo 'Installing onnxruntime-node with npm'
    # Its install script would fetch what graphics cards need.
    npm install --ignore-scripts --loglevel=error --no-fund --no-audit --prefix "$B/bench/node" onnxruntime-node
fi
B=$B exec /usr/bin/python3 bench/bench.py "$B/bench" "$@"

#!/bin/sh
# kiln's emitted code against ONNX Runtime (npm's onnxruntime-node), in turns in one run.
# Usage: tools/bench.sh [NETWORK ...]
set -eu
cd "$(dirname "$0")/.."
work=$(pwd)/${B:-build}/bench
mkdir -p "$work/node"
if [ ! -d "$work/node/node_modules/onnxruntime-node" ]; then
    echo "installing onnxruntime-node 1.30.0 from npm into $work/node"
    (cd "$work/node" && echo '{"private": true}' > package.json &&
        npm install --silent --ignore-scripts onnxruntime-node@1.30.0)
fi
exec /usr/bin/python3 bench/bench.py "$work" "$@"

#!/bin/sh
# install-ort.sh FOLDER - onnxruntime-node from npm into FOLDER, unless it is there. Of one version, so that ratios
# to it can be compared.
set -eu
mkdir -p "$1"
[ ! -d "$1/node_modules/onnxruntime-node" ] || exit 0
echo 'Installing onnxruntime-node 1.30.0 with npm'
# Its install script would fetch what graphics cards need.
npm install --ignore-scripts --loglevel=error --no-fund --no-audit --prefix "$1" onnxruntime-node@1.30.0

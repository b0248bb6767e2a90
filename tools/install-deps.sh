#!/bin/sh
# install-deps.sh GROUP... - install what is missing of the Debian packages of each group:
# build, test, demo, accuracy, bench. Says what it installs; needs root or sudo only when something is missing.
set -eu

packages() {
    case $1 in
    build) echo 'gcc libc6-dev make libcjson-dev libprotobuf-c-dev protobuf-c-compiler libonnx-dev' ;;
    test)  echo 'clang clang-format clang-tidy cppcheck llvm-14-tools python3 python3-numpy' \
                'python3-torch python3-torchvision qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross' \
                'qemu-system-arm gcc-arm-none-eabi dataset-fashion-mnist python3-onnx' ;;
    demo)  echo 'python3 python3-numpy dataset-fashion-mnist' ;;
    accuracy) echo 'python3 python3-numpy python3-torch dataset-fashion-mnist' ;;
    bench) echo 'python3 python3-numpy python3-torch python3-torchvision nodejs npm clang clang-19' ;;
    *)     echo "install-deps.sh: unknown group '$1'" >&2; exit 2 ;;
    esac
}

is_installed() {
    dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

# provides - a program that does not come from a package (another compiler, say) will do as well.
provides() {
    case $1 in
    gcc)    command -v cc ;;
    make)   command -v make ;;
    nodejs) command -v node ;;
    npm)    command -v npm ;;
    *)      false ;;
    esac >/dev/null
}

missing=
for group in "$@"; do
    for package in $(packages "$group"); do
        is_installed "$package" || provides "$package" || missing="$missing $package"
    done
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "Missing, and there is no apt-get to install them with:$missing" >&2
    exit 3
fi
root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Missing:$missing" >&2
        echo "Install them as root: apt-get install --no-install-recommends$missing" >&2
        exit 3
    fi
    root=sudo
fi
echo "Installing with apt-get:$missing"
# shellcheck disable=SC2086
if ! $root apt-get -o DPkg::Lock::Timeout=300 -y -q --no-install-recommends install $missing \
        </dev/null; then
    $root apt-get -o DPkg::Lock::Timeout=300 -q update </dev/null
    $root apt-get -o DPkg::Lock::Timeout=300 -y -q --no-install-recommends install $missing </dev/null
fi

#!/usr/bin/env bash
# Unpack the wheels of envs/NAME.txt into build/NAME, beside .venv, unless they are there: envs/cuda_wheels.sh NAME
# For tests without a GPU; a machine with one gets them into .venv (docs/gpu.md).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=build/$1
digest=$(cat envs/nvcc.txt "envs/$1.txt" | sha256sum | cut -d ' ' -f 1)
[ "$(cat "$folder/made-from" 2>/dev/null)" != "$digest" ] || exit 0
echo "cuda_wheels: unpacking $(cat envs/nvcc.txt "envs/$1.txt" | grep '^nvidia.*==' | sort -u | wc -l) wheels of NVIDIA's into $folder"
rm -rf "$folder"
.venv/bin/uv pip install --quiet --python .venv/bin/python --target "$folder" --no-deps --require-hashes -r "envs/$1.txt" || {
    echo "cuda_wheels: the packages of envs/$1.txt could not be installed" >&2
    echo "       to do: check the network, then run the same again" >&2
    exit 1
}
echo "$digest" >"$folder/made-from"

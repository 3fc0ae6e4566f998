#!/bin/sh
# Install as a new user does, with an empty home and without any setting of pip, and train with two processes of the
# Horovod that this gives:  tests/envs/pypi.sh   takes ten minutes and 7 GB in a temporary folder
#
# On Linux PyPI's torch is a build for CUDA. Horovod is built for it twice: with NCCL, and for CPUs alone.
set -eu
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM
for variable in TORCH $(env | sed -n 's/^\(PIP_[A-Z_]*\)=.*/\1/p'); do unset "$variable"; done
export PIP_CONFIG_FILE=/dev/null HOME="$folder" VENV="$folder/venv" VOXNAS_WHEELS="$folder/wheels" CI=true OMP_NUM_THREADS=1

HOROVOD_GPU_OPERATIONS=NCCL make env
du -sm "$VENV"
"$VENV/bin/python" -m pytest -q tests/distributed
HOROVOD_GPU_OPERATIONS="" "$VENV/bin/python" envs/build_horovod.py
"$VENV/bin/python" -m pytest -q tests/contract/test_backends.py

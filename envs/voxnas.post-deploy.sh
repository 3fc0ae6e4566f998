#!/bin/sh
# Snakemake runs this once, in a conda environment that it has just made from voxnas.yaml: what pip cannot name in a
# file, the library of this checkout and the Horovod that fits the torch of the environment.
# The checkout is the folder Snakemake was started in, or $VOXNAS_SOURCE.
set -eu
source=${VOXNAS_SOURCE:-$PWD}
[ -f "$source/envs/build_horovod.sh" ] || {
    echo "$source is no checkout of Voxnas: start Snakemake in one, or set VOXNAS_SOURCE" >&2
    exit 1
}
python -m pip install --no-deps --no-build-isolation -e "$source"
"$source/envs/build_horovod.sh" python

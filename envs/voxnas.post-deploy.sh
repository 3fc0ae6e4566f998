#!/bin/sh
# Snakemake runs this once, in a conda environment that it has just made from voxnas.yaml, to add what no file can name:
# the Horovod that fits the torch in there. The workflow puts the library itself on PYTHONPATH, which also tells where
# the checkout is.
set -eu
checkout=$(python -c 'import pathlib, voxnas; print(pathlib.Path(voxnas.__file__).parents[2])')
python "$checkout/envs/build_horovod.py" || true

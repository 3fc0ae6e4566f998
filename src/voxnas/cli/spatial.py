"""``voxnas spatial``: apply the spatial preprocessing steps to one shard of raw runs."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument("--spec", required=True, help="spec/spatial.json of the study")
    parser.add_argument("--index", required=True, help="folder with scans.tsv and sidecars.json")
    parser.add_argument("--shard", required=True, type=int, help="number of this shard, from 0")
    parser.add_argument("--shards", required=True, type=int, help="number of shards")
    parser.add_argument("--output", required=True, help="folder for the BIDS derivatives and runs.json")


def run(arguments: argparse.Namespace) -> None:
    """Write the derivatives of the shard."""
    from voxnas.core.spec import SpatialSpec
    from voxnas.data.fmri.spatial_shard import write_spatial_shard
    from voxnas.io.records import read_record

    steps = read_record(arguments.spec, SpatialSpec).steps
    write_spatial_shard(steps, arguments.index, arguments.shard, arguments.shards, arguments.output)

"""``voxnas preprocess``: preprocess one shard of scans."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument("--plan", required=True, help="plan.json of the study")
    parser.add_argument("--index", required=True, help="folder with scans.tsv")
    parser.add_argument("--shard", required=True, type=int, help="number of this shard, from 0")
    parser.add_argument("--shards", required=True, type=int, help="number of shards")
    parser.add_argument("--spatial", help="runs: output folder of the spatial steps, of this shard or of all shards")
    parser.add_argument(
        "--output",
        required=True,
        help="safetensors file to write, with its records in a .json file beside it; for runs, the folder to write",
    )


def run(arguments: argparse.Namespace) -> None:
    """Write the arrays and records of the shard."""
    from voxnas.io.records import read_plan

    plan = read_plan(arguments.plan)
    if plan.timed:
        from voxnas.data.fmri.prepare_runs import write_timed_shard

        where = (arguments.index, arguments.spatial, arguments.shard, arguments.shards, arguments.output)
        write_timed_shard(plan, *where)
    else:
        from voxnas.data.shards import write_shard

        write_shard(plan, arguments.index, arguments.shard, arguments.shards, arguments.output)

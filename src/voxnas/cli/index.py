"""``voxnas index``: index the scans of a data set, in one pass or by shards, or join the shards of an index."""

import argparse
import sys
from pathlib import Path

# Default targets of the phantom.
PHANTOM_TARGETS = {"classification": "group", "regression": "age"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("--spec", type=Path, required=True, help="spec of the stage (JSON)")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--output", type=Path, required=True, help="folder for scans.tsv, excluded.tsv, dataset.json")
    parser.add_argument("--shard", type=int, help="number of the shard to index; default: all shards")
    parser.add_argument("--shards", type=int, default=1, help="number of shards")
    parser.add_argument("--parts", type=Path, nargs="+", help="folders of all shards, to join in one index")


def run(arguments: argparse.Namespace) -> None:
    """Write the index; excluded scans are also listed on stderr."""
    from voxnas.core.spec import IndexSpec
    from voxnas.data.index import dataset_root, index_shard, merge_shards
    from voxnas.data.index_files import read_index, write_index
    from voxnas.io.records import read_record

    spec = read_record(arguments.spec, IndexSpec)
    data, unit = spec.data, spec.unit or "run"
    if not spec.data_root and not data.target and unit != "volume":
        data = data.model_copy(update={"target": PHANTOM_TARGETS.get(spec.task, "")})
    if arguments.parts:
        parts = [read_index(folder) for folder in arguments.parts]
    else:
        numbers = range(arguments.shards) if arguments.shard is None else [arguments.shard]
        parts = [
            index_shard(arguments.data, spec.task, data, spec.seed, unit, number, arguments.shards, spec.test_folder)
            for number in numbers
        ]
    if arguments.shard is None:
        for row in sorted(row for part in parts for row in part.excluded.itertuples(index=False, name=None)):
            print("excluded {} ({}): {}".format(*row), file=sys.stderr)
        index = merge_shards(parts, dataset_root(arguments.data, data))
        if index.dataset["doubt"]:
            print(f"voxnas index: warning: {index.dataset['doubt']}", file=sys.stderr)
    else:
        index = parts[0]
    write_index(arguments.output, index)
    print(f"{len(index.scans)} scans indexed, {len(index.excluded)} excluded")

"""``voxnas network``: write the record of one finalist, limited to the fields on which its training depends."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("--networks", required=True, help="finalists.json or derived.json")
    parser.add_argument("--key", required=True, help="key of the network")
    parser.add_argument("--output", required=True, help="network.json to write")


def run(arguments: argparse.Namespace) -> None:
    """Write the record with neutral rank, name, source and score, which later selections may change."""
    from voxnas.core.errors import UserError
    from voxnas.io.records import read_json, write_json

    networks = read_json(arguments.networks)["networks"]
    found = next((n for n in networks if n["key"] == arguments.key), None)
    if found is None:
        raise UserError(f"{arguments.networks} has no network {arguments.key}", "rerun the stage select")
    write_json(arguments.output, {**found, "name": arguments.key, "source": "", "rank": 1, "search_score": None})

"""``voxnas select``: choose the finalists from the records of the searches."""

import argparse
import sys

from voxnas.core.paths import StudyPaths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--study", type=StudyPaths, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument(
        "--searches",
        type=_searches,
        default={},
        metavar="A=12,B",
        help="searches with their number of steps; default of a search: all steps that have a result",
    )
    parser.add_argument(
        "--direct",
        type=lambda text: [name for name in text.split(",") if name],
        default=[],
        metavar="NAME,NAME",
        help="baselines that enter with their published recipe, without a search",
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="finalists.json to write")


def _searches(text: str) -> dict[str, int | None]:
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    return {name: int(steps) if steps else None for name, _, steps in pairs}


def run(arguments: argparse.Namespace) -> None:
    """Select and write the records."""
    from voxnas.core.spec import SelectSpec
    from voxnas.core.trial import SCHEMA_VERSION
    from voxnas.io.records import read_plan, read_record, write_json
    from voxnas.search.chain import finished_steps, read_chain
    from voxnas.search.propose import study_calibration
    from voxnas.search.select import select_finalists

    paths = arguments.study
    chains = {}
    for search, steps in arguments.searches.items():
        steps = finished_steps(paths, search) if steps is None else steps
        chains[search] = read_chain(paths, search, steps, steps)
    networks, left_out = select_finalists(
        read_record(paths.spec("select"), SelectSpec),
        read_plan(paths.plan),
        study_calibration(paths),
        chains,
        arguments.direct,
    )
    for line in left_out:
        print(f"voxnas select: {line}", file=sys.stderr)
    record = {
        "schema_version": SCHEMA_VERSION,
        "searches": {search: len(chain.proposals) for search, chain in chains.items()},
        "networks": [network.plain() for network in networks],
    }
    write_json(arguments.output, record)
    for network in networks:
        score = "" if network.search_score is None else f", search score {network.search_score:.4f}"
        print(f"{network.name}: {network.key}{score}")

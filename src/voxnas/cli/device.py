"""``voxnas device``: measure the speed of this kind of node, for the placement of trainings."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from voxnas.cli import calibrate

    calibrate.add_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Measure and write the record."""
    from voxnas.complexity.device import measure_device
    from voxnas.core.paths import StudyPaths
    from voxnas.io.records import read_json, read_plan, write_json
    from voxnas.training.sampling.factory import reading_seconds

    search = read_json(arguments.search)
    plan, spec = read_plan(arguments.plan), read_json(arguments.spec)
    record = measure_device(search["space"], plan, spec, search["search"]["limits"])
    record["reading"] = reading_seconds(StudyPaths(arguments.study), plan, spec)
    write_json(arguments.output, record)
    print(
        f"{record['device']['processor']}: start of a training {record['start_seconds']:.1f} s, "
        f"wall time / counted time {record['wall_factor']:.2f}"
    )

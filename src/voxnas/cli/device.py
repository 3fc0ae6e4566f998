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
    from voxnas.core.spec import CalibrateSpec, SearchSpec
    from voxnas.io.records import read_plan, read_record, write_json
    from voxnas.training.sampling.factory import reading_seconds

    search, spec = read_record(arguments.search, SearchSpec), read_record(arguments.spec, CalibrateSpec)
    plan = read_plan(arguments.plan)
    record = measure_device(search.space, plan, spec, search.search["limits"])
    record = record.model_copy(update={"reading": reading_seconds(StudyPaths(arguments.study), plan, spec)})
    write_json(arguments.output, record)
    print(
        f"{record.device['processor']}: start of a training {record.start_seconds:.1f} s, "
        f"wall time / counted time {record.wall_factor:.2f}"
    )

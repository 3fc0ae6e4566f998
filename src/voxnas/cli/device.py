"""``voxnas device``: measure the speed of this kind of node, for the placement of trainings."""

from __future__ import annotations

import argparse

from voxnas.cli import calibrate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    calibrate.add_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Measure and write the record."""
    from voxnas.complexity.device import measure_device

    record = calibrate.write_measurements(arguments, measure_device)
    print(
        f"{record.device['processor']}: start of a training {record.start_seconds:.1f} s, "
        f"wall time / counted time {record.wall_factor:.2f}"
    )

"""``voxnas calibrate``: time networks and short trainings on this device, to predict all other times."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from voxnas.core.calibration import Calibration

M = TypeVar("M", bound=Calibration)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "--study", type=Path, required=True, help="folder of the study, with preprocessed and split scans"
    )
    parser.add_argument("--spec", type=Path, required=True, metavar="FILE", help="spec/calibrate.json of the study")
    parser.add_argument(
        "--search", type=Path, required=True, metavar="FILE", help="spec of a search, which names the search space"
    )
    parser.add_argument("--plan", type=Path, required=True, metavar="FILE", help="plan.json of the study")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="calibration.json to write")


def write_measurements(arguments: argparse.Namespace, measure: Callable[..., M]) -> M:
    """Measure a calibration with the costs of the training process, write the record, and return it."""
    from voxnas.core.paths import StudyPaths
    from voxnas.core.spec import CalibrateSpec, SearchSpec
    from voxnas.io.records import read_plan, read_record, write_json
    from voxnas.training.overheads import add_overheads

    search, spec = read_record(arguments.search, SearchSpec), read_record(arguments.spec, CalibrateSpec)
    plan = read_plan(arguments.plan)
    record = measure(search.space, plan, spec, search.search.limits)
    record = add_overheads(StudyPaths(arguments.study), plan, spec, record)
    write_json(arguments.output, record)
    return record


def run(arguments: argparse.Namespace) -> None:
    """Measure and write the record."""
    from voxnas.complexity.calibrate import measure_calibration

    record = write_measurements(arguments, measure_calibration)
    device, step, latency = record.device, record.error.train_seconds, record.error.latency_ms
    print(
        f"timed {len(record.table)} networks and {record.nodes} single nodes in {record.seconds:.0f} s "
        f"on {device['processor']}, "
        f"{device['threads']} thread(s), {device['precision']}; "
        f"relative error of predicted training time: median {step.median:.0%}, maximum {step.largest:.0%}; "
        f"of predicted latency: median {latency.median:.0%}, maximum {latency.largest:.0%}; "
        f"{_processes(record)}; "
        f"speed of bf16 relative to float32: {record.bf16.train_speedup:.2f}"
    )


def _processes(record: Calibration) -> str:
    """Describe the costs of the training process of each view."""
    return "; ".join(
        f"{view + ': ' if view else ''}start of a training {cost.start:.1f} s, reading one sample "
        f"{1000 * cost.read:.2g} ms, rest of a step {1000 * cost.step:.2g} ms"
        for view, cost in record.process.items()
    )

"""``voxnas calibrate``: time networks and the reading of samples here, from which the rest is predicted."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--study", type=Path, required=True, help="folder of the study, preprocessed and split")
    parser.add_argument("--spec", type=Path, required=True, metavar="FILE", help="spec/calibrate.json of the study")
    parser.add_argument("--search", type=Path, required=True, metavar="FILE", help="spec of a search, for its space")
    parser.add_argument("--plan", type=Path, required=True, metavar="FILE", help="plan.json of the study")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="calibration.json to write")


def run(arguments: argparse.Namespace) -> None:
    """Measure and write the record."""
    from voxnas.complexity.calibrate import measure_calibration
    from voxnas.core.paths import StudyPaths
    from voxnas.io.records import read_json, read_plan, write_json
    from voxnas.training.sampling.factory import reading_seconds

    search, plan, spec = read_json(arguments.search), read_plan(arguments.plan), read_json(arguments.spec)
    record = measure_calibration(search["space"], plan, spec, search["search"]["limits"])
    record["reading"] = reading_seconds(StudyPaths(arguments.study), plan, spec)
    write_json(arguments.output, record)
    device, step, latency = record["device"], record["error"]["train_seconds"], record["error"]["latency_ms"]
    print(
        f"timed {len(record['table'])} networks and {record['nodes']} of their nodes in {record['seconds']:.0f} s "
        f"on {device['processor']}, "
        f"{device['threads']} thread(s), {device['precision']}; "
        f"predicted training time is off by {step['median']:.0%} (median), {step['largest']:.0%} at most, "
        f"predicted latency by {latency['median']:.0%} and {latency['largest']:.0%}; "
        f"a sample is read in {', '.join(f'{1000 * s:.2g} ms' for s in record['reading'].values())}; "
        f"bf16 is {record['bf16']['train_speedup']:.2f} times as fast as float32"
    )

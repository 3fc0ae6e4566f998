"""Cost of a study as people count it: time, CPU hours, and an estimate of energy and emissions."""

import math
from collections.abc import Iterable
from pathlib import Path

from voxnas.benchmark import results
from voxnas.core.paths import StudyPaths
from voxnas.core.spec import ReportSpec
from voxnas.io.records import read_json
from voxnas.report.tables import DASH, Column, Table, number


def cost_table(paths: StudyPaths, spec: ReportSpec) -> Table:
    """Table of the measured times of the searches and of the final trainings, with estimated energy and emissions.

    A training whose step has no record of its time leaves the row without numbers, since their sum would be too small.

    Parameters
    ----------
    paths : StudyPaths
        A finished study.
    spec : ReportSpec
        With the power of a core in W and the carbon intensity of electricity in g CO2e per kWh.
    """
    searched = [
        paths.step(search, step) / "run.json"
        for search in results.searches(paths)
        for step in results.search_history(paths, search).step
    ]
    trained = [
        paths.seed(network.key, seed) / "run.json"
        for network in {network.key: network for network in results.networks(paths)}.values()
        for seed in results.seed_results(paths, network.key)
    ]
    parts = {"searches": searched, "final trainings": trained, "total": [*searched, *trained]}
    columns = [
        Column("part", numeric=False),
        Column("trainings", "steps of the searches, or seeds of the networks"),
        Column("wall time h", "sum over the trainings, which may run at the same time"),
        Column("CPU h", "measured processor time of the trainings"),
        Column("energy kWh (estimate)", f"CPU hours times {spec.watts_per_core:g} W per core"),
        Column("kg CO2e (estimate)", f"energy times {spec.grams_per_kwh:g} g per kWh"),
    ]
    rows = []
    for name, files in parts.items():
        wall, cpu = _hours(files, "wall_seconds"), _hours(files, "cpu_seconds")
        energy = cpu * spec.watts_per_core / 1000
        amounts = [wall, cpu, energy, energy * spec.grams_per_kwh / 1000]
        shown = [(_three(amount), amount) for amount in amounts]
        rows.append([(name, name), (str(len(files)), len(files)), *shown])
    return Table(columns, rows)


def _hours(files: Iterable[Path], name: str) -> float:
    return sum(float(read_json(file).get(name, "nan")) if file.is_file() else math.nan for file in files) / 3600


def _three(amount: float) -> str:
    """Format an amount with two decimals, a small one with two significant digits."""
    return DASH if not math.isfinite(amount) else number(amount, 2) if amount >= 0.1 else f"{amount:.2g}"

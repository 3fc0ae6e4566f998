"""Publication of the tables and figures of a finished study, with their provenance."""

import shutil
from pathlib import Path
from typing import Any

from voxnas.benchmark import results
from voxnas.benchmark.costs import basis
from voxnas.core.paths import StudyPaths
from voxnas.core.spec import IndexSpec
from voxnas.core.splits import Splits
from voxnas.io.records import read_json, read_record, write_json
from voxnas.io.replace import replacing_folder
from voxnas.io.tables import read_table, write_table
from voxnas.report.sentence import separation


def publish_study(study: str | Path, output: str | Path) -> None:
    """Copy the tables and figures of a study to a separate folder.

    Parameters
    ----------
    study : path
        Folder ``results/<study>`` of a finished study.
    output : path
        Folder to write: leaderboard.tsv, comparisons.tsv, cross_validation.tsv, trials-<search>.tsv, figures/ and
        provenance.json (command, machines, versions, CPU time). Existing content is replaced.
    """
    paths = StudyPaths(study)
    with replacing_folder(output, "provenance.json") as folder:
        for table in (paths.leaderboard, paths.comparisons, paths.cross_validation):
            if table.exists():  # cross-validation is optional
                shutil.copy(table, folder)
        for search in results.searches(paths):
            trials = read_table(paths.trials(search), {})
            measured = [results.measured_seconds(paths.step(search, int(step))) for step in trials.step]
            write_table(folder / f"trials-{search}.tsv", trials.assign(measured_cpu_seconds=measured))
        shutil.copytree(paths.figures, folder / "figures", ignore=shutil.ignore_patterns(".*", "*.json"))
        write_json(folder / "provenance.json", provenance(paths))


def provenance(paths: StudyPaths) -> dict[str, Any]:
    """Provenance of a study: command, machines, budgets in samples, search runs, versions and CPU time."""
    runs = [read_json(p) for p in sorted(paths.store.glob("*/run.json"))]
    study, splits = paths.root.name, read_record(paths.splits, Splits)
    root = read_record(paths.spec("index"), IndexSpec).data_root
    return {
        "command": f"snakemake --configfile config/studies/{study}.yaml" + (" --config data_root=PATH" if root else ""),
        "devices": sorted({run["device"] for run in runs}),
        "precisions": sorted({run["precision"] for run in runs if "precision" in run}),
        "launchers": sorted({f"{run['launcher']} x {run['processes']}" for run in runs}),
        "versions": {name: sorted({run["versions"].get(name, "") for run in runs}) for name in runs[0]["versions"]},
        "trainings": len(runs),
        **basis(paths),
        "training_cpu_seconds": round(sum(run["cpu_seconds"] for run in runs), 1),
        "splits": {"test": len(splits.test), "folds": [len(fold) for fold in splits.folds]},
        "separation": separation(splits, read_json(paths.dataset)),
    }

"""``voxnas export``: write a study, or the networks of a model folder, in the formats of other software.

A study is written to results/STUDY/export: ``optuna`` (optuna.journal, for optuna-dashboard), ``csv`` and ``parquet``
(trials of all searches), ``ro-crate`` (the finished study as a Workflow Run RO-Crate). A model is written to its own
folder: ``onnx`` and ``openvino``, checked against PyTorch.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths

if TYPE_CHECKING:
    from voxnas.deploy.runtimes import Runtimes

EXAMPLE = "examples: voxnas export hippocampus --to optuna csv; voxnas export results/hippocampus/model --to onnx"
OF_STUDY = ("optuna", "csv", "parquet", "ro-crate")
OF_MODEL = ("onnx", "openvino")
FORMATS = f"formats of a study: {', '.join(OF_STUDY)}; of a model: {', '.join(OF_MODEL)}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.epilog = EXAMPLE
    parser.add_argument(
        "what", metavar="STUDY|MODEL", help="name, file or folder of a study; or a model folder, results/STUDY/model"
    )
    parser.add_argument(
        "--to",
        nargs="+",
        choices=(*OF_STUDY, *OF_MODEL),
        metavar="FORMAT",
        help=f"{FORMATS} (default: both of a model)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Export the study or the model, and print the files, or the parity and the latency of each run-time."""
    what, formats = Path(arguments.what), arguments.to or OF_MODEL
    model = (what / "model.json").is_file()
    if not model and arguments.to is None:
        raise UserError(f"{what} is no model folder (it has no model.json) and --to is missing", FORMATS)
    chosen = [name for name in OF_STUDY if name in formats]
    if chosen and (model or len(chosen) < len(set(formats))):
        raise UserError(f"--to {' '.join(formats)} does not fit {what}{' (a model)' if model else ''}", FORMATS)
    if chosen:
        _export_study(arguments.what, chosen)
    else:
        _export_model(what, formats)


def _export_study(text: str, formats: Sequence[str]) -> None:
    from voxnas.cli.watch import find_folder

    paths = StudyPaths(find_folder(Path.cwd(), text))
    for name in formats:
        print(export_study(paths, name))


def export_study(paths: StudyPaths, name: str) -> Path:
    """Write a study in one format, and return the file or folder."""
    folder = paths.root / "export"
    if name == "ro-crate":
        from voxnas.report.ro_crate import write_crate

        write_crate(paths, folder / "ro-crate")
        return folder / "ro-crate"

    from voxnas.report.all_trials import all_trials, started_searches, write_csv, write_parquet

    searches = started_searches(paths)
    if name == "optuna":
        from voxnas.report.optuna_study import write_optuna

        write_optuna(paths, searches, folder / "optuna.journal")
        return folder / "optuna.journal"
    write, file = (write_csv, "trials.csv") if name == "csv" else (write_parquet, "trials.parquet")
    write(all_trials(paths, searches), folder / file)
    return folder / file


def _export_model(folder: Path, formats: Sequence[str]) -> None:
    from voxnas.deploy.predict import read_model_plan

    read_model_plan(folder)
    runtimes = export(folder, formats)
    for name in runtimes.by_latency():
        parity = runtimes.parity.get(name)
        checked = f", {100 * parity.agreement:.3f} % of the classes as PyTorch" if parity else ""
        print(f"{name}: {runtimes.latency[name].median_ms:.1f} ms a patch{checked}")


def export(folder: Path, names: Sequence[str]) -> Runtimes:
    """Export a model folder to the formats in `names`, and state the latencies in its model card."""
    from voxnas.deploy.export import write_exports
    from voxnas.io.records import write_text
    from voxnas.report.model_card import with_runtimes

    runtimes, card = write_exports(folder, names), folder / "README.md"
    write_text(card, with_runtimes(card.read_text(encoding="utf-8") if card.exists() else "", runtimes))
    return runtimes

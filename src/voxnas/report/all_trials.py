"""The trials of all searches of a study in one table, as CSV or Parquet."""

from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from voxnas.benchmark.results import measured_seconds
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.io.replace import replacing
from voxnas.search.chain import finished_steps, read_chain
from voxnas.search.propose import Search
from voxnas.search.summary import trials_table


def started_searches(paths: StudyPaths) -> list[str]:
    """Names of the searches with a finished step, the recipes of the hand-made networks last.

    Raises
    ------
    UserError
        If there is none.
    """
    folders = [folder.name for folder in paths.root.glob("search/*") if finished_steps(paths, folder.name)]
    if not folders:
        raise UserError(f"{paths.root} has no finished trial", "run the study first, or wait for its first trial")
    return sorted(folders, key=lambda name: (name.startswith("baseline-"), name))


def all_trials(paths: StudyPaths, searches: list[str]) -> pd.DataFrame:
    """Join the tables of trials (:func:`voxnas.search.summary.trials_table`) of several searches.

    Returns
    -------
    DataFrame
        One row per finished step: ``search``, the columns of the tables, and ``measured_cpu_seconds`` of the step.
        Parameters that a space lacks, or that are inactive, are missing.
    """
    tables = []
    for name in searches:
        steps = finished_steps(paths, name)
        table = trials_table(read_chain(paths, name, steps, steps), Search.read(paths, name))
        measured = [measured_seconds(paths.step(name, int(step))) for step in table.step]
        table.insert(0, "search", name)
        tables.append(table.assign(measured_cpu_seconds=measured))
    return pd.concat(tables, ignore_index=True)


def write_csv(table: pd.DataFrame, file: Path) -> None:
    """Write a table as CSV; a missing value is an empty cell."""
    with replacing(file) as temporary:
        table.to_csv(temporary, index=False)


def write_parquet(table: pd.DataFrame, file: Path) -> None:
    """Write a table as Parquet, each parameter as numbers or truth values, or as text where its values are mixed.

    Raises
    ------
    UserError
        If pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise UserError("pyarrow is not installed", "pip install 'voxnas[export]'")
    typed = table.infer_objects()
    for name in typed:
        if pd.api.types.infer_dtype(typed[name], skipna=True).startswith("mixed"):
            typed[name] = typed[name].astype("string")
    with replacing(file) as temporary:
        typed.to_parquet(temporary, index=False)

"""Trials of earlier studies, as a prior of a search over the same space."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voxnas.arch.parameters import Parameter
from voxnas.arch.search_space import SearchSpace
from voxnas.core.errors import UserError
from voxnas.core.trial import PriorTrial
from voxnas.io.tsv import read_cells

MISSING = "n/a"


def read_prior(sources: Sequence[str], space: SearchSpace) -> tuple[tuple[PriorTrial, ...], ...]:
    """Read the trials of earlier studies that are points of a space, with their latest scores.

    Parameters
    ----------
    sources : sequence of str
        Tables of trials, or folders of published studies, whose tables are ``trials-<search>.tsv`` without the
        recipes of hand-made networks.
    space : SearchSpace

    Returns
    -------
    tuple of tuple of PriorTrial
        By table; trials that failed, or lie outside the space, are left out.

    Raises
    ------
    UserError
        If a table is missing, has no scores, or has no trial in the space.
    """
    found: list[tuple[PriorTrial, ...]] = []
    for source in sources:
        path = Path(source)
        if not path.exists():
            raise UserError(f"search.prior: {source} does not exist", "name a folder of a published study, or a table")
        tables = sorted(path.glob("trials-*.tsv")) if path.is_dir() else [path]
        tables = [table for table in tables if not table.name.startswith("trials-baseline-")]
        if not tables:
            raise UserError(f"search.prior: {source} has no tables trials-<search>.tsv", "name a table of trials")
        trials, faults = [], list[str]()
        for table in tables:
            trials.append(_read_trials(table, space, faults))
        if not any(trials):
            reason = faults[0] if faults else "none has a score"
            raise UserError(
                f"search.prior: no trial of {source} is a scored point of the space of this study: {reason}",
                "name a study over the same search.space, or remove it",
            )
        found += [one for one in trials if one]
    return tuple(found)


def _read_trials(table: Path, space: SearchSpace, faults: list[str]) -> tuple[PriorTrial, ...]:
    """Read the trials of a table that are in the space; the faults of the others are appended."""
    names, cells = read_cells(table)
    for name in ("trial", "rung", "score"):
        if name not in names:
            raise UserError(f"search.prior: {table} has no column {name!r}", "name a table of trials")
    latest = {}
    rows = [dict(zip(names, row, strict=True)) for row in cells]
    for row in sorted(rows, key=lambda row: _number(table, row["rung"])):
        latest[row["trial"]] = row
    trials = []
    for row in latest.values():
        if row["score"] == MISSING or row.get("state") == "FAILED":
            continue
        config = {p.name: _value(p, row[p.name]) for p in space.parameters if row.get(p.name, MISSING) != MISSING}
        try:
            space.validate(config)
        except UserError as error:
            faults.append(error.what)
        else:
            trials.append(PriorTrial(config=config, score=_number(table, row["score"])))
    return tuple(trials)


def _number(table: Path, cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise UserError(f"search.prior: {table}: {cell!r} is not a number", "name a table of trials") from None


def _value(parameter: Parameter, cell: str) -> Any:
    """Convert a cell to a value of a parameter; a text that is none remains a text."""
    if parameter.choices:
        return next((value for value in parameter.choices if str(value) == cell), cell)
    try:
        return int(float(cell)) if parameter.integer else float(cell)
    except ValueError:
        return cell

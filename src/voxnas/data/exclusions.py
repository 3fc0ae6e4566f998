"""All exclusions of a study in one table: scans that the index left out, and runs of insufficient quality."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.plan import RunPlan
from voxnas.core.splits import Splits
from voxnas.data.arrays import Runs
from voxnas.data.samples import block_samples
from voxnas.io.records import read_plan, read_record
from voxnas.io.tables import read_table, table_rows

COLUMNS = ["scan", "stage", "file", "reason"]
NAMED = 5  # runs that an error names with their reasons


def exclusions(paths: StudyPaths) -> pd.DataFrame:
    """Return one row for each exclusion of any stage: scan, stage (``index``, ``preprocess``), file and reason.

    Parameters
    ----------
    paths : StudyPaths
        A study whose scans are preprocessed.

    Raises
    ------
    UserError
        If no run is left in the test split or in a fold, or the runs outside a fold have one class. The message names
        the runs and the reasons.
    """
    table = read_table(paths.index_excluded, {"scan": str, "file": str, "reason": str}).assign(stage="index")
    plan, splits = read_plan(paths.plan), read_record(paths.splits, Splits)
    if plan.timed:
        scans = read_table(paths.scans, {"scan": str, "image": str})
        records = Runs(paths, frozenset(scans["scan"])).records
        rows = [
            (row.scan, "preprocess", row.image, records[row.scan]["excluded"])
            for row in table_rows(scans)
            if records[row.scan]["excluded"]
        ]
        table = pd.concat([table, pd.DataFrame(rows, columns=COLUMNS)], ignore_index=True)
        _check_left(splits, records, plan)
    return table[COLUMNS].sort_values(["stage", "scan"], ignore_index=True)


def _check_left(splits: Splits, runs: Mapping[str, Mapping[str, Any]], plan: RunPlan) -> None:
    """Raise a UserError if the usable runs do not suffice for the test split and every fold."""
    records = {member: runs[splits.scan_of(member)] for member in (*splits.test, *splits.development)}
    for number, scans in enumerate((splits.test, *splits.folds), -1):
        place = "the test split" if number < 0 else f"fold {number}"
        reasons = [f"{scan} ({records[scan]['excluded']})" for scan in scans if records[scan]["excluded"]]
        if len(reasons) == len(scans):
            more = f"; and {len(reasons) - NAMED} more" if len(reasons) > NAMED else ""
            raise UserError(
                f"no run of {place} is left: {'; '.join(reasons[:NAMED])}{more}",
                "relax bold.quality, or repair the runs (quality.tsv beside the preprocessed runs has all measures)",
            )
        if splits.unit == "block" and not any(block_samples(m, splits, records[m], plan) for m in scans):
            raise UserError(
                f"no volume of {place} is {splits.gap:g} s and {plan.clip.span} volumes (a clip) from other splits",
                "lower splits.gap or clips.frames",
            )
    for fold in range(len(splits.folds)) if plan.task == "classification" else ():
        left = [records[scan] for scan in splits.outside(fold) if not records[scan]["excluded"]]
        classes = {kind for record in left for kind in record.get("labels", [record["target"]]) if kind is not None}
        if len(classes) < 2:
            raise UserError(
                f"the runs outside fold {fold} that are left have one class, {', '.join(classes) or 'none'}",
                "relax bold.quality, or lower splits.folds",
            )

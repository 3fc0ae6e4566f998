"""Cross-validated scores of a study as a table and as a sentence."""

from __future__ import annotations

import pandas as pd

from voxnas.benchmark.cross_validation import AGAINST, COLUMNS
from voxnas.benchmark.metrics import Measure
from voxnas.core.paths import StudyPaths
from voxnas.io.tables import read_table, table_rows
from voxnas.report.tables import Column, Table, number, signed, verdict

TEXTS = ("name", "winner", "key", "reference")


def read_folds(paths: StudyPaths) -> pd.DataFrame | None:
    """Read the table of cross-validated scores; None if the study has none."""
    if not paths.cross_validation.is_file():
        return None
    table = read_table(paths.cross_validation, dict.fromkeys(TEXTS, str))
    numbers = [name for name in (*COLUMNS, *AGAINST) if name not in TEXTS]
    return table.astype(dict.fromkeys(numbers, float)).assign(winner=table.winner == "True")


def folds_table(table: pd.DataFrame, measure: Measure, confidence: float) -> Table:
    """Table of the networks over all folds, best first, with their differences to the reference."""
    d = measure.digits
    columns = [
        Column("#"),
        Column("network", "★: the winner by validation", numeric=False),
        Column(f"{measure.title} over the folds", f"over all cases, with its {confidence:.0%} interval"),
        Column(f"minus {_reference(table)}", "positive: the network of the row is better; with its interval"),
        Column("not better", "fraction of the bootstrap samples in which the network is not better"),
    ]
    rows = []
    for row in table_rows(table):
        known = pd.notna(row.difference)
        between = f"[{signed(row.difference_low, d)}, {signed(row.difference_high, d)}]"
        rows.append(
            [
                (f"{row.rank:.0f}", row.rank),
                (row.name + (" ★" if row.winner else ""), row.name),
                (f"{number(row.score, d)} [{number(row.low, d)}, {number(row.high, d)}]", row.score),
                (f"{signed(row.difference, d)} {between}" if known else "", row.difference),
                (number(row.not_better, 3) if known else "", row.not_better),
            ]
        )
    return Table(columns, rows, frozenset(int(i) for i in table.index[table.winner]))


def _reference(table: pd.DataFrame) -> str:
    """Name of the reference network; a placeholder if the table has none."""
    named = table.reference.dropna()
    return named.iloc[0] if len(named) else "reference"


def folds_sentence(table: pd.DataFrame, measure: Measure) -> str:
    """Describe the score of the winner and its difference to the reference over all cases."""
    winner, d = table[table.winner].iloc[0], measure.digits
    cases = f"Over the folds, {winner.cases:.0f} cases of {winner.units:.0f} units, {winner['name']} reaches"
    reached = f"{cases} {measure.article} {measure.title} of {number(winner.score, d)}"
    if pd.isna(winner.difference):
        return f"{reached}."
    words = {"better": "better than", "worse": "worse than", "indistinguishable": "indistinguishable from"}
    between = f"interval {signed(winner.difference_low, d)} to {signed(winner.difference_high, d)}"
    return (
        f"{reached}: {words[verdict(winner.difference_low, winner.difference_high)]} {winner.reference} "
        f"(difference {signed(winner.difference, d)}, {between})."
    )

"""Cross-validated scores of a study as a table and as a sentence."""

import pandas as pd

from voxnas.benchmark.cross_validation import AGAINST, COLUMNS, LEAST_FOLDS, SELECTED
from voxnas.core.measures import Measure
from voxnas.core.paths import StudyPaths
from voxnas.io.tables import read_table, table_rows
from voxnas.report.sentence import join
from voxnas.report.tables import Column, Table, number, p_statement, p_value, signed

TEXTS = ("name", "chosen_on", "networks", "key", "reference")


def read_folds(paths: StudyPaths) -> pd.DataFrame | None:
    """Read the table of cross-validated scores; None if the study has none."""
    if not paths.cross_validation.is_file():
        return None
    table = read_table(paths.cross_validation, dict.fromkeys(TEXTS, str))
    table[list(TEXTS)] = table[list(TEXTS)].fillna("")
    return table.astype(dict.fromkeys((name for name in (*COLUMNS, *AGAINST) if name not in TEXTS), float))


def folds_table(table: pd.DataFrame, measure: Measure) -> Table:
    """Table of the networks over all scored folds, best first, with their differences to the reference."""
    d, reference = measure.digits, _reference(table)
    columns = [
        Column("#"),
        Column("network", numeric=False),
        Column("chosen on", "folds whose scores chose the network", numeric=False),
        Column(f"{measure.title} over the folds", "over all cases; AUC and correlation within folds"),
        Column("p, permutation", "probability of such a score if the targets of each fold are permuted"),
        Column(f"minus {reference['name']}", "positive: the network of the row is better"),
        Column("p, difference", "two-sided, corrected resampled t-test over folds, adjusted by Holm"),
    ]
    rows = [
        [
            (f"{row.rank:.0f}", row.rank),
            (f"{row.name}: {row.networks}" if row.networks else row.name, row.name),
            (row.chosen_on, row.chosen_on),
            (number(row.score, d), row.score),
            (p_value(row.p_permutation), row.p_permutation),
            (signed(row.difference, d) if row.reference else "", row.difference),
            (p_value(row.p_difference) if row.reference else "", row.p_difference),
        ]
        for row in table_rows(table)
    ]
    return Table(columns, rows, frozenset(int(i) for i in table.index[table.reference == ""]))


def _reference(table: pd.DataFrame) -> pd.Series:
    """Row of the network against which all others are held."""
    return table[table.reference == ""].iloc[0]


def folds_sentence(table: pd.DataFrame, measure: Measure, confidence: float) -> str:
    """Describe the score of the selected network (without a search, of the first) and its tested differences."""
    row = _reference(table)
    what = "the network that the other folds select" if row["name"] == SELECTED else row["name"]
    parts = [
        f"Over {row.folds:.0f} folds, {row.cases:.0f} cases of {row.units:.0f} units, {what} reaches "
        f"{measure.article} {measure.title} of {number(row.score, measure.digits)}"
    ]
    if pd.notna(row.p_permutation):
        chance = "better than" if row.p_permutation < 1 - confidence else "indistinguishable from"
        parts[0] += f", {chance} chance ({p_statement(row.p_permutation)} by permutation)"
    tested = table[table.p_difference.notna()]
    significant = tested.p_difference < 1 - confidence
    groups = {
        "It is better than {}": tested[significant & (tested.difference < 0)],
        "It is worse than {}": tested[significant & (tested.difference > 0)],
        "The folds cannot distinguish it from {}": tested[~significant],
    }
    parts += [text.format(join(list(group["name"]))) for text, group in groups.items() if len(group)]
    if row.folds < LEAST_FOLDS:
        parts.append(f"Fewer than {LEAST_FOLDS} folds give no test of differences")
    return ". ".join(parts) + "."

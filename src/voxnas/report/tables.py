"""Formatted tables and numbers of the report."""

import math
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from voxnas.core.measures import Measure
from voxnas.io.tables import table_rows

DASH, MINUS, SPACE = "\u2013", "\u2212", "\u00a0"  # the space is non-breaking


@dataclass(frozen=True)
class Column:
    """A column of a table: heading, explanation, and whether it is numeric."""

    title: str
    help: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Table:
    """A table: cells are (text, sorting key); `marked` rows are highlighted; `omitted` rows are not in the page."""

    columns: list[Column]
    rows: list[list[tuple[str, Any]]]
    marked: frozenset[int] = frozenset()
    omitted: int = 0

    def first(self, count: int) -> "Table":
        """Return the first `count` rows; the other rows are counted as omitted."""
        return replace(self, rows=self.rows[:count], omitted=max(0, len(self.rows) - count))


def number(value: float | None, digits: int) -> str:
    """Format a value with fixed digits; a dash if it is missing."""
    return DASH if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def p_value(value: float | None) -> str:
    """Format a p-value with three digits; a smaller one as a bound.

    Examples
    --------
    >>> p_value(0.0312), p_value(0.0004)
    ('0.031', '< 0.001')
    """
    return "< 0.001" if value is not None and value < 0.001 else number(value, 3)


def p_statement(value: float) -> str:
    """State a p-value: ``p = 0.031`` or ``p < 0.001``."""
    text = p_value(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def difference_statement(row: Any, digits: int) -> str:
    """State the difference of a comparison, its interval, and the p-value that its verdict rests on.

    Parameters
    ----------
    row : Series or named tuple
        A row of comparisons.tsv.
    digits : int
        Digits of the difference.
    """
    tested = f", {p_statement(row.p_holm)} adjusted by Holm's method" if math.isfinite(row.p_holm) else ""
    return f"(difference {signed(row.difference, digits)}{interval(row.low, row.high, digits, sign=True)}{tested})"


def distinct_pairs(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Return each pair of networks once; the best networks of two methods often are winner and another network."""
    return comparisons.drop_duplicates(["first", "second"], ignore_index=True)


def signed(value: float, digits: int) -> str:
    """Format a value with fixed digits and a sign (a typographic minus)."""
    return DASH if not math.isfinite(value) else f"{value:+.{digits}f}".replace("-", MINUS)


def interval(low: float, high: float, digits: int, sign: bool = False) -> str:
    """Format an interval in brackets, after a space; an empty string without an interval."""
    write = signed if sign else number
    return f" [{write(low, digits)}, {write(high, digits)}]" if math.isfinite(low) else ""


def quantity(value: float | None) -> str:
    """Format a count with three significant digits and a metric prefix."""
    if value is None or not math.isfinite(value):
        return DASH
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size * 0.9995:
            return f"{float(f'{value / size:.3g}'):g}{SPACE}{unit}"
    return f"{value:g}"


def duration(seconds: float | None) -> str:
    """Format a duration in seconds, minutes or hours."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    if seconds < 90:
        return f"{seconds:.0f}{SPACE}s"
    return f"{seconds / 60:.0f}{SPACE}min" if seconds < 5400 else f"{seconds / 3600:.1f}{SPACE}h"


def leaderboard_table(board: pd.DataFrame, measure: Measure, labels: dict[str, str], confidence: float) -> Table:
    """Table of the scores of the leaderboard.

    Parameters
    ----------
    board : DataFrame
        Result of :func:`voxnas.benchmark.leaderboard.read_leaderboard`.
    measure : Measure
        Ranking measure.
    labels : dict
        Names of the labels by value, without the background (empty for other tasks).
    confidence : float
        Nominal coverage of the intervals.
    """
    d = measure.digits
    extra = {
        **{f"dice_{k}": (f"Dice {name}", 3) for k, name in labels.items()},
        "nsd": ("NSD", 3),
        "hd95_mm": ("HD95 mm", 2),
        "accuracy": ("accuracy", 3),
        "balanced_accuracy": ("balanced acc.", 3),
        "rmse": ("RMSE", 3),
        "r2": ("R²", 3),
    }
    shown = {c: v for c, v in extra.items() if c in board}
    tested = "chance_p" in board
    columns = [
        Column("#"),
        Column("network", "★: the winner, chosen by validation", numeric=False),
        Column(f"test {measure.title}", f"over test scans, mean over seeds, with its {confidence:.0%} interval"),
        *([Column("p of chance", f"permutation test against chance, {_chance(board, measure)}")] if tested else []),
        *(Column(f"test {title}") for title, _ in shown.values()),
        Column(f"validation {measure.title}", "mean ± standard deviation over seeds"),
    ]
    rows = []
    for row in board.to_dict("records"):
        score = number(row["test_score"], d) + interval(row["low"], row["high"], d)
        validation = number(row["validation_score"], d)
        if math.isfinite(row["validation_sd"]):
            validation += f" ± {number(row['validation_sd'], d)}"
        rows.append(
            [
                (f"{row['rank']:.0f}", row["rank"]),
                (row["name"] + (" ★" if row["winner"] else ""), row["name"]),
                (score, row["test_score"]),
                *([(p_value(row["chance_p"]), row["chance_p"])] if tested else []),
                *((number(row[c], digits), row[c]) for c, (_, digits) in shown.items()),
                (validation, row["validation_score"]),
            ]
        )
    return Table(columns, rows, frozenset(int(i) for i in board.index[board.winner]))


def chance_sentence(board: pd.DataFrame, measure: Measure) -> str:
    """State the chance level and the test against it; empty if the task has no chance level."""
    if "chance_p" not in board:
        return ""
    what = "an AUC" if measure.name == "auc" else "the share of the most frequent class of the test cases, an accuracy"
    return (
        f"Chance level: {what} of {number(board.chance.iloc[0], measure.digits)}; p of chance: probability of a score "
        "at least as good if predictions and targets were unrelated (permutation by unit, for the mean prediction)."
    )


def _chance(board: pd.DataFrame, measure: Measure) -> str:
    """Chance level of a classification in words."""
    return f"{measure.title} {number(board.chance.iloc[0], measure.digits)}"


def costs_table(board: pd.DataFrame) -> Table:
    """Table of the costs of prediction, training and search of each network."""
    columns = [
        Column("network", numeric=False),
        Column("parameters"),
        Column("MACs", "multiply-adds of one patch, with all copies of test-time augmentation"),
        Column("latency ms", "of one patch, with all copies, median, measured on this device"),
        Column("prediction MiB", "peak memory of predicting one patch"),
        Column("training MiB", "peak memory of a training step"),
        Column("origin, step", "origin and number of the search step that began its trial", numeric=False),
        Column("search CPU", "measured, of the whole search that found the network; brackets: as predicted"),
        Column("training CPU", "measured, of all its seeds; brackets: as predicted"),
    ]
    rows = [
        [
            (row["name"] + (" ★" if row["winner"] else ""), row["name"]),
            (quantity(row["parameters"]), row["parameters"]),
            (quantity(row["macs"]), row["macs"]),
            (number(row["latency_ms"], 1), row["latency_ms"]),
            (number(row["peak_memory_mib"], 0), row["peak_memory_mib"]),
            (number(row["train_memory_mib"], 0), row["train_memory_mib"]),
            (f"{row['origin']} {row['step']:.0f}" if row["step"] >= 0 else DASH, row["step"]),
            *(
                (
                    cost(row[f"{what}_seconds_measured"], row[f"{what}_samples"], row[f"{what}_seconds_predicted"]),
                    row[f"{what}_seconds_measured"],
                )
                for what in ("search", "train")
            ),
        ]
        for row in board.to_dict("records")
    ]
    return Table(columns, rows, frozenset(int(i) for i in board.index[board.winner]))


def efficiency_table(table: pd.DataFrame, measure: Measure) -> Table:
    """Table of the costs and scores of a comparison (see :func:`voxnas.benchmark.efficiency.efficiency`)."""
    d, first = measure.digits, table["name"].iloc[0]
    columns = [
        Column("network", numeric=False),
        Column("parameters"),
        Column("MACs", "multiply-adds of one patch"),
        Column("latency ms", "of one patch, median, measured on this device"),
        Column("prediction MiB", "peak memory of predicting one patch"),
        Column("training MiB", "peak memory of a training step"),
        Column("training ms", "CPU time of training on one sample, as calibrated: forward, backward and optimizer"),
        Column("whole ms", "CPU time of the whole training per sample, with data, validations and start"),
        Column("energy J", "of predicting one patch; empty if the machine has no counter"),
        Column(f"test {measure.title}", "each network trained for the same CPU time"),
        Column(f"minus {first}", "with its interval, on the same test scans"),
        Column("at equal samples", f"validation score at {table.equal_samples.iloc[0]:.0f} samples, over seeds"),
        Column("at equal time", f"validation score at {table.equal_cpu_seconds.iloc[0]:.0f} CPU seconds, over seeds"),
    ]
    rows = []
    for row in table_rows(table):
        between = interval(row.difference_low, row.difference_high, d, sign=True)
        rows.append(
            [
                (row.name, row.name),
                (quantity(row.parameters), row.parameters),
                (quantity(row.macs), row.macs),
                (number(row.latency_ms, 1), row.latency_ms),
                (number(row.peak_memory_mib, 0), row.peak_memory_mib),
                (number(row.train_memory_mib, 0), row.train_memory_mib),
                (number(row.train_ms_per_sample, 1), row.train_ms_per_sample),
                (number(row.whole_ms_per_sample, 1), row.whole_ms_per_sample),
                (number(row.energy_inference_j, 2), row.energy_inference_j),
                (number(row.test_score, d) + interval(row.low, row.high, d), row.test_score),
                (signed(row.difference, d) + between, row.difference),
                (f"{number(row.score_equal_samples, d)} ± {number(row.sd_equal_samples, d)}", row.score_equal_samples),
                (f"{number(row.score_equal_time, d)} ± {number(row.sd_equal_time, d)}", row.score_equal_time),
            ]
        )
    return Table(columns, rows)


def cost(measured: float, samples: float, predicted: float = math.nan) -> str:
    """Format a cost as CPU time if it was measured, else as samples; a dash without a training."""
    if not samples:
        return DASH
    if not math.isfinite(measured):
        return f"{quantity(samples)} samples"
    return duration(measured) + (f" [{duration(predicted)}]" if math.isfinite(predicted) else "")


def comparisons_table(comparisons: pd.DataFrame, measure: Measure, confidence: float) -> Table:
    """Table of the paired differences with verdicts."""
    d = measure.digits
    columns = [
        Column("first", numeric=False),
        Column("second", numeric=False),
        Column("difference", f"in {measure.title}; positive: the first is better"),
        Column(f"{confidence:.0%} interval"),
        Column("p", "two-sided, of the hypothesis that both are equal"),
        Column("p, Holm", "adjusted for the number of pairs of this table"),
        Column("verdict", f"from the adjusted p-value, at {1 - confidence:.0%}", numeric=False),
    ]
    rows = [
        [
            (row.first, row.first),
            (row.second, row.second),
            (signed(row.difference, d), row.difference),
            (interval(row.low, row.high, d, sign=True).strip() or DASH, row.low),
            (p_value(row.p), row.p),
            (p_value(row.p_holm), row.p_holm),
            (row.verdict, row.difference),
        ]
        for row in table_rows(distinct_pairs(comparisons))
    ]
    return Table(columns, rows)


def plain_table(table: pd.DataFrame, titles: dict[str, str]) -> Table:
    """Table of strings: the given columns with the given headings."""
    columns = [Column(title, numeric=False) for title in titles.values()]
    texts = table[list(titles)].astype(object).where(table[list(titles)].notna(), DASH).astype(str)
    return Table(columns, [[(text, text) for text in row] for row in texts.values.tolist()])


def flatten(record: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Flatten nested data, with keys joined by dots; an entry of a list of records has its number as key."""
    flat: dict[str, str] = {}
    for key, value in record.items():
        if isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
            value = {str(number): entry for number, entry in enumerate(value)}
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return flat

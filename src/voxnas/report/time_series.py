"""Tables and sentences of a study of time series: quality of the runs, and benefit of four dimensions."""

from itertools import count, takewhile
from typing import Any

import pandas as pd

from voxnas.arch.families import family_of
from voxnas.arch.views import reads_clips
from voxnas.benchmark import results
from voxnas.benchmark.leaderboard import is_searched
from voxnas.core.measures import Measure
from voxnas.core.paths import StudyPaths
from voxnas.core.trial import PER_FRAME, Network
from voxnas.io.records import read_plan
from voxnas.io.tables import read_table
from voxnas.report.tables import Column, Table, difference_statement, interval, number, quantity, signed

VIEWS = {
    "clips": "clips of volumes (4D)",
    "maps": "maps over time (3D)",
    "series": "series of regions (1D)",
    "connectivity": "correlations of regions",
}
QUALITY = {
    "tsnr": Column("tSNR", "median over the brain of mean over standard deviation in time"),
    "mean_fd_mm": Column("mean FD mm", "mean framewise displacement"),
    "max_fd_mm": Column("largest FD mm"),
    "mean_dvars": Column("mean DVARS %", "change of the brain between volumes, of its mean signal"),
    "start_excess": Column("start %", "signal of the first volume over that of the median one"),
    "mask_overlap": Column("mask overlap", "Dice overlap of the brain mask with the template's"),
    "anatomical_overlap": Column("T1w overlap", "overlap of the brain mask with that of the participant's T1w"),
    "brain_ml": Column("brain ml"),
    "frames": Column("volumes"),
    "kept": Column("kept", "volumes that scrubbing left"),
    "seconds": Column("s kept"),
}
DIGITS = {"tsnr": 0, "brain_ml": 0, "frames": 0, "kept": 0, "seconds": 0}  # default: 2


def read_quality(paths: StudyPaths) -> pd.DataFrame:
    """Read the quality of all runs, as measured by preprocessing.

    Returns
    -------
    DataFrame
        scan; measures of :mod:`voxnas.data.fmri.quality`; excluded (reason, or missing); drawings (file with the arrays
        for figures).
    """
    files = takewhile(lambda file: file.exists(), (paths.runs(n) / "quality.tsv" for n in count()))
    columns = {"scan": str, "excluded": str}
    tables = [read_table(file, columns).assign(drawings=str(file.with_suffix(".safetensors"))) for file in files]
    if not tables:
        return pd.DataFrame(columns=["scan", *QUALITY, "excluded", "drawings"])
    table = pd.concat(tables, ignore_index=True).drop_duplicates("scan").sort_values("scan", ignore_index=True)
    return table.astype(dict.fromkeys(QUALITY, float))


def quality_table(runs: pd.DataFrame) -> Table:
    """Table of the quality of runs, with all available measures; excluded runs are marked."""
    known = [name for name in QUALITY if runs[name].notna().any()]
    columns = [Column("run", numeric=False), *(QUALITY[name] for name in known), Column("excluded", numeric=False)]
    rows = [
        [
            (row["scan"], row["scan"]),
            *((number(row[name], DIGITS.get(name, 2)), row[name]) for name in known),
            (reason := "" if pd.isna(row["excluded"]) else row["excluded"], reason),
        ]
        for row in runs.to_dict("records")
    ]
    return Table(columns, rows, frozenset(int(i) for i in runs.index[runs.excluded.notna()]))


def views_table(paths: StudyPaths, board: pd.DataFrame, comparisons: pd.DataFrame, measure: Measure) -> Table:
    """Table of the best linear model and the best network of each view, and of the winner without operators along time.

    The best models are chosen by validation.
    """
    found = {n.name: n for n in results.networks(paths)}
    plan = read_plan(paths.plan)
    default, sign = plan.view, measure.sign
    singles = board[board.name.isin(found) & (board.source != PER_FRAME)]
    kinds = [(found[n].architecture.view or default, family_of(found[n].architecture).fitted) for n in singles.name]
    singles = singles.assign(view=[view for view, _ in kinds], linear=[linear for _, linear in kinds])
    rows = []
    for view, title in VIEWS.items():
        for linear in (True, False):
            of_kind = singles[(singles.view == view) & (singles.linear == linear)].dropna(subset="validation_score")
            if len(of_kind):
                best = of_kind.iloc[int((sign * of_kind.validation_score).argmax())]
                rows.append((title, "linear model" if linear else "network", best))
    if (twin := twin_of_winner(board)) is not None:
        rows.append(("clips, each volume separately", "winner without operators along time", twin))
    columns = [
        Column("input", numeric=False),
        Column("model", numeric=False),
        Column("best by validation", numeric=False),
        Column(f"test {measure.title}"),
        Column("validation"),
        Column("parameters"),
        Column("MACs"),
        Column("winner minus this model", "on the same test cases, with its interval"),
        Column("verdict", "on the winner, from the p-value adjusted for all comparisons", numeric=False),
    ]
    return Table(columns, [_row(*row, comparisons, measure) for row in rows])


def _row(title: str, kind: str, best: pd.Series, comparisons: pd.DataFrame, measure: Measure) -> list[tuple[str, Any]]:
    d = measure.digits
    against = comparisons[(comparisons.comparison == "winner") & (comparisons.second == best["name"])]
    difference, words, key = "the winner", "", float("inf")
    if len(against):
        row = against.iloc[0]
        difference = signed(row.difference, d) + interval(row.low, row.high, d, sign=True)
        words, key = row.verdict, row.difference
    return [
        (title, title),
        (kind, kind),
        (best["name"], best["name"]),
        (number(best.test_score, d) + interval(best.low, best.high, d), best.test_score),
        (number(best.validation_score, d), best.validation_score),
        (quantity(best.parameters), best.parameters),
        (quantity(best.macs), best.macs),
        (difference, key),
        (words, words),
    ]


def twin_of_winner(board: pd.DataFrame) -> pd.Series | None:
    """Row of the copy of the winner without operators along time; None without such a copy."""
    twin = board[board.name == f"{board.name[board.winner].iloc[0]}-{PER_FRAME}"]
    return twin.iloc[0] if len(twin) else None


def describe_benefit_of_time(winner: Network, board: pd.DataFrame, comparisons: pd.DataFrame, measure: Measure) -> str:
    """Describe whether operators along time improve the winner; empty if the winner does not read clips."""
    if not reads_clips(winner.architecture):
        return ""
    if (twin := twin_of_winner(board)) is None:
        if family_of(winner.architecture).uses_time(winner.architecture):
            return "The study has no copy of the winner without operators along time, and cannot assess their benefit."
        chosen = "the search chose no" if is_searched(winner.source) else "its design has no"
        return f"The winner processes volumes separately and averages their predictions: {chosen} operators along time."
    row = comparisons[(comparisons.comparison == "winner") & (comparisons.second == twin["name"])].iloc[0]
    words = {
        "better": "Operators along time improve the score: the winner is better than",
        "worse": "Operators along time reduce the score: the winner is worse than",
        "indistinguishable": "A benefit of operators along time is not shown: the winner is indistinguishable from",
        "untested": "A benefit of operators along time is not shown: the winner could not be tested against",
    }
    d = measure.digits
    return (
        f"{words[row.verdict]} the same network without them, widened to equal "
        f"MACs and trained in the same way {difference_statement(row, d)}."
    )

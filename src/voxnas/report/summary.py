"""The result of a study in a few lines, for the end of a run."""

from voxnas.benchmark.leaderboard import read_comparisons, read_leaderboard
from voxnas.benchmark.results import benchmark_spec
from voxnas.core.measures import ranking_measure
from voxnas.core.paths import StudyPaths
from voxnas.core.splits import Splits
from voxnas.io.records import read_json, read_plan, read_record
from voxnas.report.sentence import (
    against_baselines,
    against_chance,
    against_linear,
    against_random,
    independent_unit,
    is_hand_made,
    tested_units,
)
from voxnas.report.tables import interval, number, quantity


def summary(paths: StudyPaths) -> list[tuple[str, str]]:
    """Return the winner, its test score, its comparisons, and what to open and to call next.

    Parameters
    ----------
    paths : StudyPaths
        A finished study.

    Returns
    -------
    list of (str, str)
        Titles and texts.
    """
    board, comparisons, spec = read_leaderboard(paths), read_comparisons(paths), benchmark_spec(paths)
    measure, confidence = ranking_measure(spec), spec.confidence
    winner, unit = board[board.winner].iloc[0], read_plan(paths.plan).unit
    over = independent_unit(read_record(paths.splits, Splits), read_json(paths.dataset))
    bounds = interval(winner.low, winner.high, measure.digits)
    reliable = f"{bounds} ({confidence:.0%} interval)" if bounds else f" ({winner.note})"
    compared = [against_linear(board, comparisons, measure), against_baselines(board, comparisons)]
    if not is_hand_made(winner.source):
        compared.append(against_random(board, comparisons, measure, confidence))
    return [
        ("Winner", f"{winner['name']}: {quantity(winner.parameters)} parameters, {quantity(winner.macs)} MACs"),
        (
            "Test score",
            f"{measure.title} {number(winner.test_score, measure.digits)}{reliable}"
            f"{against_chance(winner, measure.digits)}, {winner.scans:.0f} locked {unit}s"
            f"{tested_units(winner, unit, over)}",
        ),
        ("Compared", " ".join(filter(None, compared))),
        ("Report", str(paths.root / "report.html")),
        ("Predict", f"voxnas predict --model {paths.root / 'model'} --input SCANS --output OUT"),
    ]

"""Cross-validated scores: each scan outside the test split, predicted by a training that did not see it.

If the sample is small, the locked test split cannot discriminate between networks; the folds contain several times as
many cases. However, the search has selected architectures and recipes by scores on its validation fold, and the
predictions of a network come from a separate training for each fold. The table therefore complements the locked test
and never replaces it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from voxnas.arch.families import family_of
from voxnas.benchmark import results
from voxnas.benchmark.leaderboard import case_statistic, choose_winner, validation_scores
from voxnas.benchmark.metrics import ranking_measure, validation_measure
from voxnas.benchmark.statistics import Bootstrap
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.seeds import derive_seed

COLUMNS = ["rank", "name", "winner", "key", "folds", "cases", "units", "score", "low", "high"]
AGAINST = ["reference", "difference", "difference_low", "difference_high", "not_better"]


def cross_validation(paths: StudyPaths) -> pd.DataFrame:
    """Compute the table of cross-validated scores of a study.

    Returns
    -------
    DataFrame
        One row per network, best first: rank, name, winner (by validation, as in the leaderboard), key, number of
        folds, cases and units, the measure of the study over all cases with its interval, and the paired difference to
        the best linear baseline, or else the best hand-made network (``reference``); positive: the network is better.

    Raises
    ------
    UserError
        If two networks were scored on different cases.
    """
    spec = results.benchmark_spec(paths)
    measure, task = ranking_measure(spec), spec.task
    found = results.networks(paths)
    tables = {
        n.name: results.cases(paths.fold_cases(n.key), task).assign(seed="all").sort_values("scan") for n in found
    }
    first = next(iter(tables.values()))
    for name, table in tables.items():
        if list(table.scan) != list(first.scan):
            raise UserError(
                f"{name} and {found[0].name} were scored on different cases of the folds",
                f"delete {paths.root / 'evaluation'}/*/folds.tsv and run the study again",
            )
    bootstrap = Bootstrap(
        first.participant, spec.bootstrap, spec.confidence, derive_seed(spec.seed, "cross_validation")
    )
    statistics = {name: case_statistic(table, measure.name) for name, table in tables.items()}
    scores = {name: bootstrap.score(statistic) for name, statistic in statistics.items()}
    linear = [n.name for n in found if family_of(n.architecture).fitted]
    made = linear or [n.name for n in found if n.source.startswith("baseline")]
    reference = max(made, key=lambda name: measure.sign * scores[name].estimate) if made else ""
    sign = validation_measure(task).sign
    winner = choose_winner(found, {n.name: validation_scores(paths, n, sign)[0] for n in found}, sign)
    folds = results.cases(paths.fold_cases(found[0].key), task).seed.nunique()
    rows = []
    for network in found:
        name, interval = network.name, scores[network.name]
        row = {
            "name": name,
            "winner": name == winner.name,
            "key": network.key,
            "folds": folds,
            "cases": len(first),
            "units": first.participant.nunique(),
            "score": interval.estimate,
            "low": interval.low,
            "high": interval.high,
            **dict.fromkeys(AGAINST, np.nan),
            "reference": reference if name != reference else "",
        }
        if reference and name != reference:
            pair = (statistics[name], statistics[reference])[:: measure.sign]
            against = bootstrap.difference(*pair)
            row |= {"difference": against.estimate, "difference_low": against.low, "difference_high": against.high}
            row["not_better"] = against.not_above
        rows.append(row)
    table = pd.DataFrame(rows).sort_values(["score", "name"], ascending=[measure.sign < 0, True], ignore_index=True)
    table.insert(0, "rank", range(1, len(table) + 1))
    return table[COLUMNS + AGAINST]

"""The chance level of a classification, and a test against it on the locked test split."""

import numpy as np
import pandas as pd

from voxnas.benchmark import results
from voxnas.benchmark.permutation import permutation_p
from voxnas.core.measures import ranking_measure
from voxnas.core.paths import StudyPaths
from voxnas.core.seeds import derive_seed
from voxnas.io.records import read_plan


def with_chance(paths: StudyPaths, board: pd.DataFrame) -> pd.DataFrame:
    """Add the columns ``chance`` and ``chance_p`` to the leaderboard of a classification; others are returned as given.

    ``chance`` is the score of a prediction without any information: an AUC of 0.5, or the share of the most frequent
    class of the test cases. ``chance_p`` is the probability of a score at least as good as the observed one if
    predictions and targets were unrelated, by permutation between or within units (:mod:`.permutation`). It refers to
    the mean prediction of the seeds of a network.
    """
    spec = results.benchmark_spec(paths)
    if spec.task != "classification":
        return board
    measure, plan = ranking_measure(spec), read_plan(paths.plan)
    ordered = plan.unit == "volume"
    levels, tests = {}, {}
    for key in board.key.unique():
        table = results.cases(paths.cases(key), spec.task)
        members = table[table.seed == results.ENSEMBLE] if (table.seed == results.ENSEMBLE).any() else table
        one = members[members.seed == members.seed.iloc[0]].assign(fold=0)
        levels[key] = 0.5 if measure.name == "auc" else float(one.target.value_counts(normalize=True).iloc[0])
        tests[key] = permutation_p(one, measure, ordered, derive_seed(spec.seed, "chance"), widening=1.0)
    return board.assign(chance=board.key.map(levels), chance_p=np.array([tests[key] for key in board.key]))

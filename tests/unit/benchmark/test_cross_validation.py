import numpy as np
import pandas as pd
import pytest

from voxnas.benchmark import results
from voxnas.benchmark.cross_validation import cross_validation
from voxnas.core.errors import UserError
from voxnas.io.records import read_json
from voxnas.io.tables import write_table

GOOD, FAIR, POOR = "bayesian-1", "random-1", "small"


def write_folds(paths, task, spread):
    """Predictions of all networks on eight development cases in two folds; errors grow by `spread`."""
    rng = np.random.default_rng(1)
    for network in results.networks(paths):
        rows = []
        for i in range(8):
            name = f"sub-{i + 4:02d}"
            row = {"key": network.key, "seed": str(i // 4), "scan": name, "participant": name}
            error = spread[network.name] * abs(rng.normal(1, 0.1))
            if task == "regression":
                row |= {"target": 30.0 + i, "predicted": 30.0 + i + error * (-1) ** i, "absolute_error": error}
            elif task == "segmentation":
                row |= {"dice": 1 - error}
            else:
                p = {0.1: 0.9, 0.2: 0.9 if i else 0.1, 0.4: rng.random() / 2}[spread[network.name]]
                right, wrong = ("control", "atrophy")[:: 1 if i % 2 else -1]
                row |= {"target": right, "predicted": right if p > 0.5 else wrong}
                row |= {f"probability_{right}": p, f"probability_{wrong}": 1 - p}
            rows.append(row)
        write_table(paths.fold_cases(network.key), pd.DataFrame(rows))


def test_networks_are_ranked_and_held_against_the_best_hand_made_one(fake_study):
    task = read_json(fake_study.plan)["task"]
    write_folds(fake_study, task, {GOOD: 0.1, FAIR: 0.2, POOR: 0.4})
    table = cross_validation(fake_study).set_index("name")
    assert list(table.index) == [GOOD, FAIR, POOR]
    assert table.reference[GOOD] == POOR and table.reference[POOR] == ""
    assert table.difference_low[GOOD] > 0 and np.isnan(table.difference[POOR])
    assert table.winner.tolist() == [True, False, False]
    assert (table.folds == 2).all() and (table.cases == 8).all() and (table.units == 8).all()
    assert table.low[GOOD] <= table.score[GOOD] <= table.high[GOOD]


def test_networks_that_were_asked_different_cases_are_not_compared(fake_segmentation):
    write_folds(fake_segmentation, "segmentation", {GOOD: 0.1, FAIR: 0.2, POOR: 0.4})
    last = results.networks(fake_segmentation)[-1]
    table = results.cases(fake_segmentation.fold_cases(last.key), "segmentation")
    write_table(fake_segmentation.fold_cases(last.key), table.iloc[1:])
    with pytest.raises(UserError, match="different cases"):
        cross_validation(fake_segmentation)

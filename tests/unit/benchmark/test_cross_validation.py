import numpy as np
import pandas as pd
import pytest

from voxnas.benchmark import results
from voxnas.benchmark.cross_validation import LEAST_FOLDS, SELECTED, cross_validation, difference_p
from voxnas.benchmark.leaderboard import case_statistic
from voxnas.benchmark.statistics import mean_statistic
from voxnas.core.errors import UserError
from voxnas.core.splits import Splits
from voxnas.io.records import read_json, write_json
from voxnas.io.tables import write_table

GOOD, FAIR, POOR = "bayesian-1", "random-1", "small"
FOLDS, PER_FOLD = 6, 6


def widen(paths, task, quality, validation=None):
    """Give the small study six folds, with predictions and validation scores of each network on every fold.

    Parameters
    ----------
    quality : function of network and fold
        From 0 to 1; the predictions are the better, the larger it is.
    validation : function of network and fold, or None
        Validation score; None: the quality.
    """
    rng = np.random.default_rng(1)
    names = [f"sub-{i:02d}" for i in range(4 + FOLDS * PER_FOLD)]
    folds = [names[4 + PER_FOLD * f : 4 + PER_FOLD * (f + 1)] for f in range(FOLDS)]
    write_json(paths.splits, Splits(test=names[:4], folds=folds))
    write_json(paths.spec("benchmark"), read_json(paths.spec("benchmark")) | {"seeds": FOLDS})
    for network in results.networks(paths):
        rows = []
        for fold, members in enumerate(folds):
            for i, name in enumerate(members):
                row = {"key": network.key, "seed": str(fold), "scan": name, "participant": name, "unit": name}
                error = 1 - quality(network.name, fold) + 0.02 * rng.random()
                if task == "regression":
                    row |= {"target": 30.0 + i, "predicted": 30.0 + i + 10 * error, "absolute_error": 10 * error}
                elif task == "segmentation":
                    row |= {"dice": 1 - error}
                else:
                    right, wrong = ("control", "atrophy")[:: 1 if i % 2 else -1]
                    row |= {"target": right, "predicted": right if error < 0.5 else wrong}
                    row |= {f"probability_{right}": 1 - error, f"probability_{wrong}": error}
                rows.append(row)
            score = (validation or quality)(network.name, fold)
            result = read_json(paths.seed(network.key, 0) / "result.json")
            score = -10 * (1 - score) if task == "regression" else score
            write_json(paths.seed(network.key, fold) / "result.json", result | {"score": score})
        write_table(paths.fold_cases(network.key), pd.DataFrame(rows))
    return paths


def equal(name, fold):
    return {GOOD: 0.9, FAIR: 0.8, POOR: 0.6}[name]


def test_networks_are_ranked_and_held_against_the_selected_one(fake_study):
    table = cross_validation(widen(fake_study, read_json(fake_study.plan)["task"], equal)).set_index("name")
    assert table.index[-1] == POOR and set(table.index) == {SELECTED, GOOD, FAIR, POOR}
    assert table.reference[SELECTED] == "" and (table.reference.drop(SELECTED) == SELECTED).all()
    assert table.networks[SELECTED] == f"{GOOD} (5)"
    # The fold of the searches scores no network.
    assert (table.folds == 5).all() and (table.cases == 5 * PER_FOLD).all() and (table.units == 5 * PER_FOLD).all()
    assert table.score[SELECTED] == table.score[GOOD]


def test_a_network_that_the_scored_folds_chose_has_a_score_and_no_test(fake_segmentation):
    table = cross_validation(widen(fake_segmentation, "segmentation", equal)).set_index("name")
    assert table.chosen_on.to_dict() == {
        GOOD: "these folds", FAIR: "these folds", SELECTED: "the other folds", POOR: "the search's fold",
    }  # fmt: skip
    assert table.loc[[GOOD, FAIR], ["p_permutation", "p_difference"]].isna().all(axis=None)
    assert table.difference[POOR] < 0 and table.p_difference[POOR] < 0.001


def test_the_fold_that_scores_never_selects(fake_segmentation):
    def one_lucky_fold(name, fold):
        return {GOOD: 0.8 + 1.0 * (fold == 1), FAIR: 0.81, POOR: 0.5}[name]

    table = cross_validation(widen(fake_segmentation, "segmentation", equal, one_lucky_fold)).set_index("name")
    assert table.networks[SELECTED] == f"{GOOD} (4), {FAIR} (1)"  # fold 1 does not see its own luck


def test_a_single_searched_network_needs_no_nested_choice(fake_segmentation):
    record = read_json(fake_segmentation.finalists)
    record["networks"] = [n for n in record["networks"] if n["name"] != FAIR]
    write_json(fake_segmentation.finalists, record)
    table = cross_validation(widen(fake_segmentation, "segmentation", equal)).set_index("name")
    assert list(table.index) == [GOOD, POOR]
    assert table.reference[POOR] == GOOD and table.chosen_on[GOOD] == "the search's fold"


def test_without_a_search_all_folds_score_and_the_first_network_is_the_reference(fake_segmentation):
    record = read_json(fake_segmentation.finalists)
    record["networks"] = [
        n | {"source": f"baseline-{n['name']}", "search_score": None} for n in reversed(record["networks"])
    ]
    write_json(fake_segmentation.finalists, record | {"searches": {}})
    table = cross_validation(widen(fake_segmentation, "segmentation", equal)).set_index("name")
    assert list(table.index) == [GOOD, FAIR, POOR] and (table.folds == FOLDS).all()
    assert (table.chosen_on == "no fold").all() and table.reference[GOOD] == POOR and table.reference[POOR] == ""
    assert table.difference[GOOD] == pytest.approx(0.3, abs=0.02) and table.p_difference[GOOD] < 0.001


def test_networks_that_were_asked_different_cases_are_not_compared(fake_segmentation):
    widen(fake_segmentation, "segmentation", equal)
    last = results.networks(fake_segmentation)[-1]
    table = results.cases(fake_segmentation.fold_cases(last.key), "segmentation")
    write_table(fake_segmentation.fold_cases(last.key), table[table.scan != "sub-30"])
    with pytest.raises(UserError, match="different cases"):
        cross_validation(fake_segmentation)
    write_table(fake_segmentation.fold_cases(results.networks(fake_segmentation)[0].key), table[table.seed == "0"])
    with pytest.raises(UserError, match=r"training\.seeds"):
        cross_validation(fake_segmentation)


def test_the_test_of_a_difference_is_that_of_nadeau_and_bengio():
    differences = np.array([0.1, 0.3, 0.2, 0.4, 0.1])
    folds = np.repeat(np.arange(5), 3)
    first, second = mean_statistic(np.repeat(differences, 3)), mean_statistic(np.zeros(15))
    t = differences.mean() / np.sqrt(differences.var(ddof=1) * (1 / 5 + 1 / 9))
    from scipy.stats import t as student

    assert difference_p(first, second, folds, 9) == pytest.approx(2 * student.sf(t, 4))
    assert difference_p(second, second, folds, 9) == 1
    assert np.isnan(difference_p(first, second, folds % (LEAST_FOLDS - 1), 9))


def test_a_predictor_without_signal_has_no_correlation_over_folds():
    """The mean of the other folds, as of a ridge that learns nothing, opposes the mean of the own fold."""
    rng = np.random.default_rng(0)
    folds, pooled, within = np.arange(38) % 5, [], []
    for _ in range(200):
        target = rng.normal(size=38)
        predicted = np.array([target[folds != f].mean() for f in folds]) + 0.05 * rng.normal(size=38)
        one = np.ones((1, 38))
        table = pd.DataFrame({"seed": "all", "scan": range(38), "target": target, "predicted": predicted})
        pooled.append(case_statistic(table, "r")(one)[0, 0])
        within.append(case_statistic(table, "r", folds)(one)[0, 0])
    assert np.mean(pooled) < -0.2 and abs(np.mean(within)) < 0.03

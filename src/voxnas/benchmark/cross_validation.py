"""Cross-validated scores: each scan outside the test split, predicted by a training that did not see it.

If the sample is small, the locked test split cannot discriminate between networks; the folds contain several times as
many cases. The fold that scores a network must not have selected it:

- the searches validate on fold 0, which scores no network of a study with a search;
- the final choice between searched networks uses the validation scores of all folds. It is nested here: each fold
  scores the network that the other folds choose (row ``selected``);
- single networks among which this choice is made have a score, but no test.

No interval is given. The folds share training cases, and no estimate of the variance is unbiased (Bengio and Grandvalet
2004, JMLR 5): in a simulation, intervals with a nominal coverage of 0.95 covered 0.84 to 0.99. Differences are tested
instead, which requires a valid test under equality only (Nadeau and Bengio 2003, Machine Learning 52), and scores are
tested against permuted targets.

The nested choice is not a full nested cross-validation, because the trainings that other folds validate have trained on
the scored fold. Their validation scores do not depend on the predictions in the scored fold.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from voxnas.arch.families import family_of
from voxnas.benchmark import results
from voxnas.benchmark.leaderboard import case_statistic, choose_winner, is_searched, validation_scores
from voxnas.benchmark.permutation import permutation_p
from voxnas.benchmark.statistics import Statistic, holm
from voxnas.core.errors import UserError
from voxnas.core.measures import Measure, ranking_measure
from voxnas.core.paths import StudyPaths
from voxnas.core.seeds import derive_seed
from voxnas.core.splits import Splits
from voxnas.core.trial import Network
from voxnas.io.records import read_plan, read_record
from voxnas.training.jobs import SEARCH_FOLD

SELECTED = "selected"
THESE, OTHERS, SEARCHED, NONE = "these folds", "the other folds", "the search's fold", "no fold"
LEAST_FOLDS = 4  # fewer folds give no test of a difference
COLUMNS = ["rank", "name", "chosen_on", "networks", "key", "folds", "cases", "units", "score", "p_permutation"]
AGAINST = ["reference", "difference", "p_difference"]


def cross_validation(paths: StudyPaths) -> pd.DataFrame:
    """Compute the table of cross-validated scores of a study.

    The AUC and the correlation compare cases within folds only.

    Returns
    -------
    DataFrame
        One row per network and, if several searched networks compete, the row ``selected``; best first:

        - rank, name, key, number of folds, cases and units;
        - chosen_on: folds that chose the network (``the other folds``, ``these folds``, ``the search's fold``, or
          ``no fold``); networks: in the row ``selected``, its networks with their numbers of folds;
        - score: the measure of the study over all cases;
        - p_permutation: probability of such a score with permuted targets (:func:`.permutation.permutation_p`);
        - reference, difference: the selected network (without a search, the first network), and the difference of the
          row to it, positive if the network of the row is better;
        - p_difference: two-sided p-value of the difference (:func:`difference_p`), by Holm over the rows.

        Both p-values are missing if the network was chosen on the scored folds; p_difference also if fewer than four
        folds are scored.

    Raises
    ------
    UserError
        If two networks were scored on different cases, or fold 0, which the searches used, is the only fold.
    """
    spec = results.benchmark_spec(paths)
    measure, found = ranking_measure(spec), results.finalists(paths)
    plan = read_plan(paths.plan)
    ordered = plan.unit == "volume"
    tables = _tables(paths, found, spec.task)
    rivals = [network for network in found if is_searched(network.source)]
    networks = dict.fromkeys(tables, "")
    chosen_on = {network.name: _chosen_on(network, rivals) for network in found}
    reference = rivals[0].name if rivals else found[0].name
    if len(rivals) > 1:
        reference = SELECTED
        tables[SELECTED], networks[SELECTED] = nested_choice(paths, rivals, tables, measure)
        chosen_on[SELECTED] = OTHERS
    first = tables[reference]
    folds = first.fold.to_numpy()
    statistics = {name: case_statistic(table, measure.name, folds) for name, table in tables.items()}
    everything = np.ones((1, len(first)))
    scores = {name: float(statistic(everything)[0, 0]) for name, statistic in statistics.items()}
    seed = derive_seed(spec.seed, "permutations")
    testable = [name for name in tables if chosen_on[name] != THESE]
    train_folds = len(read_record(paths.splits, Splits).folds) - 1
    p_differences = {
        name: difference_p(statistics[name], statistics[reference], folds, train_folds)
        for name in testable
        if name != reference
    }
    adjusted = dict(zip(p_differences, holm(np.array(list(p_differences.values()))), strict=True))
    keys = {network.name: network.key for network in found}
    rows = [
        {
            "name": name,
            "chosen_on": chosen_on[name],
            "networks": networks[name],
            "key": keys.get(name, ""),
            "folds": len(np.unique(folds)),
            "cases": len(first),
            "units": first.unit.nunique(),
            "score": scores[name],
            "p_permutation": permutation_p(table, measure, ordered, seed) if name in testable else np.nan,
            "reference": "" if name == reference else reference,
            "difference": np.nan if name == reference else measure.sign * (scores[name] - scores[reference]),
            "p_difference": adjusted.get(name, np.nan),
        }
        for name, table in tables.items()
    ]
    table = pd.DataFrame(rows).sort_values(["score", "name"], ascending=[measure.sign < 0, True], ignore_index=True)
    table.insert(0, "rank", range(1, len(table) + 1))
    return table[COLUMNS + AGAINST]


def _tables(paths: StudyPaths, found: list[Network], task: str) -> dict[str, pd.DataFrame]:
    """Cases of each network on the folds that no search used, by name; sorted by scan, with the column fold."""
    tables = {}
    for network in found:
        table = results.cases(paths.fold_cases(network.key), task)
        if results.searches(paths):
            table = table[table.seed != str(SEARCH_FOLD)]
        tables[network.name] = table.assign(fold=table.seed, seed="all").sort_values("scan", ignore_index=True)
    first = tables[found[0].name]
    if first.empty:
        raise UserError("the searches used the only fold with predictions", "raise training.seeds to 2 or more")
    for name, table in tables.items():
        if list(table.scan) != list(first.scan):
            raise UserError(
                f"{name} and {found[0].name} were scored on different cases of the folds",
                f"delete {paths.root / 'evaluation'}/*/folds.tsv and run the study again",
            )
    return tables


def _chosen_on(network: Network, rivals: list[Network]) -> str:
    """Folds whose scores chose a network."""
    if network in rivals:
        return THESE if len(rivals) > 1 else SEARCHED
    return NONE if family_of(network.architecture).fitted or network.search_score is None else SEARCHED


def nested_choice(
    paths: StudyPaths, rivals: list[Network], tables: Mapping[str, pd.DataFrame], measure: Measure
) -> tuple[pd.DataFrame, str]:
    """Choose the network of each fold by the mean validation score of all other folds.

    Returns
    -------
    table : DataFrame
        In each fold, the cases of its network.
    networks : str
        Chosen networks with their numbers of folds.
    """
    count = len(read_record(paths.splits, Splits).folds)
    validations = {network.name: validation_scores(paths, network, measure) for network in rivals}
    names = {}
    for fold in tables[rivals[0].name].fold.unique():
        others = {name: float(s[s.index % count != int(fold)].mean()) for name, s in validations.items()}
        names[fold] = choose_winner(rivals, others, measure.sign).name
    parts = [tables[name][tables[name].fold == fold] for fold, name in names.items()]
    counts = pd.Series(names).value_counts()
    text = ", ".join(f"{name} ({number})" for name, number in sorted(counts.items()))
    return pd.concat(parts).sort_values("scan", ignore_index=True), text


def difference_p(first: Statistic, second: Statistic, folds: np.ndarray, train_folds: int) -> float:
    """Two-sided p-value of the difference of two networks over folds, by the corrected resampled t-test.

    The difference of each fold is its pseudo-value, which is the difference itself for a mean over folds of equal size.
    The variance of the mean over K folds is the variance of the pseudo-values times 1/K + 1/T, where T is the number of
    folds that train: the second term accounts for the overlap of the training sets (Nadeau and Bengio 2003). The
    variance between folds contains the sample of cases and the luck of each training.

    Parameters
    ----------
    first, second : Statistic
        Of the cases of all folds.
    folds : ndarray, (N,)
        Fold of each case.
    train_folds : int
        Number of folds on which each network was trained.
    """
    names = np.unique(folds)
    count = len(names)
    if count < LEAST_FOLDS:
        return float("nan")
    weights = np.vstack([np.ones(len(folds)), *(folds != name for name in names)])
    difference = first(weights)[:, 0] - second(weights)[:, 0]
    pseudo = count * difference[0] - (count - 1) * difference[1:]
    error = pseudo.std(ddof=1) * np.sqrt(1 / count + 1 / train_folds)
    if not np.isfinite(error):
        return float("nan")
    if error <= 1e-12:
        return float(abs(pseudo.mean()) <= 1e-12)
    return float(2 * stats.t.sf(abs(pseudo.mean()) / error, count - 1))

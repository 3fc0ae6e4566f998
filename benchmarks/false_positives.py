"""False positives between equal networks, through the project's own selection, cross-validation and comparison.

    python benchmarks/false_positives.py --studies 200 --output results/published/false_positives

Each simulated study has two searches, whose networks compete for the final choice, and one hand-made network. All
networks are equally good: the score of a training on a case is a common quality, plus the difficulty of the case, an
interaction of network and case, and the luck of the training, which is the same for all its cases. The records of the
study are written to a temporary folder. ``voxnas select`` chooses the finalists from the trials of the searches by
their luck on fold 0, and :func:`voxnas.benchmark.leaderboard.benchmark` and
:func:`voxnas.benchmark.cross_validation.cross_validation` compute the tables. A study has a false positive if a table
says that the selected network is better than the hand-made one, or the winner better than any other network.

A second simulation measures the permutation test: a ridge regression on pure noise, cross-validated.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from voxnas.arch.families.unet import UNet
from voxnas.benchmark.cross_validation import SELECTED, cross_validation
from voxnas.benchmark.leaderboard import benchmark
from voxnas.benchmark.permutation import permutation_p
from voxnas.cli.main import main as voxnas
from voxnas.core.architecture import Recipe, network_key
from voxnas.core.measures import MEASURES
from voxnas.core.paths import StudyPaths
from voxnas.core.plan import VolumeFingerprint, VolumePlan
from voxnas.core.settings import parse_settings
from voxnas.core.spec import stage_spec
from voxnas.core.splits import Splits
from voxnas.core.trial import Network, Proposal, Result
from voxnas.io.records import read_json, write_json
from voxnas.io.tables import write_table

SEARCHES = {"bayesian": 8, "random": 8, "baseline-unet": 1}  # trials of each search
QUALITY, DIFFICULTY, INTERACTION, LUCK = 0.8, 0.03, 0.02, 0.008  # the last three are standard deviations
STAGED = {"in_channels": 1, "out_channels": 2, "strides": [[1, 1, 1], [2, 2, 2]], "kernels": [[3, 3, 3]] * 2}
PATCH = (16, 16, 16)
PLAN = VolumePlan(
    task="segmentation", spacing=(1, 1, 1), normalize="zscore", crop=True, patch=PATCH, strides=STAGED["strides"],
    kernels=STAGED["kernels"], channels=1, outputs=2, labels={"0": "background", "1": "x"},
    fingerprint=VolumeFingerprint(median_shape=PATCH, median_spacing=(1, 1, 1), scans=1),
)  # fmt: skip


class EqualNetworks:
    """Scores of networks that are equally good, on cases of different difficulty.

    Parameters
    ----------
    cases : sequence of str
    rng : Generator
    """

    def __init__(self, cases: list[str], rng: np.random.Generator) -> None:
        self.rng = rng
        self.difficulty = pd.Series(rng.normal(0, DIFFICULTY, len(cases)), cases)
        self.likes: dict[str, pd.Series] = {}

    def train(self, key: str) -> pd.Series:
        """Scores of all cases by a new training of a network."""
        size = len(self.difficulty)
        if key not in self.likes:
            self.likes[key] = pd.Series(self.rng.normal(0, INTERACTION, size), self.difficulty.index)
        luck = self.rng.normal(0, LUCK)
        return QUALITY + self.difficulty + self.likes[key] + luck + self.rng.normal(0, LUCK, size)


def simulate_study(root: Path, folds: int, per_fold: int, rng: np.random.Generator) -> StudyPaths:
    """Write the records of a study of equal networks, as the searches, trainings and evaluations write them.

    Parameters
    ----------
    root : path
        Folder of the study.
    folds, per_fold : int
        Number of folds, which is the number of seeds, and of cases in each; the test split has twice as many.
    rng : Generator
    """
    paths, size = StudyPaths(root), per_fold * (folds + 2)
    names = [f"sub-{i:04d}" for i in range(size)]
    test, rest = names[: 2 * per_fold], names[2 * per_fold :]
    parts = [rest[f * per_fold : (f + 1) * per_fold] for f in range(folds)]
    write_json(paths.splits, Splits(test=test, folds=parts, units={name: name for name in names}))
    write_json(paths.plan, PLAN)
    settings = parse_settings({"study": "equal", "training": {"seeds": folds}, "search": {"finalists": 1}})
    for stage in ("select", "benchmark"):
        write_json(paths.spec(stage), stage_spec(settings, stage))
    equal = EqualNetworks(names, rng)
    for number, (search, trials) in enumerate(SEARCHES.items()):
        baseline = search.removeprefix("baseline-") if search.startswith("baseline-") else None
        spec = stage_spec(settings, "search", name=search, method="random", baseline=baseline, space={})
        write_json(paths.spec(f"search-{search}"), spec)
        for step in range(trials):
            architecture = UNet(**STAGED, widths=[4 + 10 * number + step, 8], blocks=[1, 1], decoder_blocks=[1])
            proposal = Proposal(
                search=search, step=step, trial=f"t{step}", origin="random", architecture=architecture,
                recipe=Recipe(), samples=1,
            )  # fmt: skip
            key = network_key(architecture, Recipe())
            score = float(equal.train(key)[parts[0]].mean())
            result = Result(state="DONE", key=key, score=score, samples=1, parameters=1, macs=1)
            write_json(paths.step(search, step) / "proposal.json", proposal)
            write_json(paths.step(search, step) / "result.json", result)
    searches = ",".join(f"{name}={steps}" for name, steps in SEARCHES.items())
    voxnas(["select", "--study", str(root), "--searches", searches, "--output", str(paths.finalists)])
    for network in (Network.model_validate(n) for n in read_json(paths.finalists)["networks"]):
        _train_and_evaluate(paths, network.key, equal, test, parts)
    return paths


def _train_and_evaluate(
    paths: StudyPaths, key: str, equal: EqualNetworks, test: list[str], parts: list[list[str]]
) -> None:
    """Write the trainings of all seeds of a network, and its scores on the test split and on the folds."""
    rows: dict[Path, list[pd.DataFrame]] = {paths.cases(key): [], paths.fold_cases(key): []}
    profile = {"parameters": 1, "macs": 1, "latency": {"median_ms": 1}, "inference_memory_mib": 1}
    write_json(paths.network(key) / "profile.json", profile | {"training_memory_mib": 1})
    for seed, fold in enumerate(parts):
        dice = equal.train(key)
        result = Result(state="DONE", key=key, score=float(dice[fold].mean()), samples=1, parameters=1, macs=1)
        write_json(paths.seed(key, seed) / "result.json", result)
        write_json(paths.seed(key, seed) / "run.json", {"cpu_seconds": 1.0})
        for file, cases in zip(rows, (test, fold), strict=True):
            rows[file].append(_cases(key, str(seed), dice[cases]))
    scores = pd.concat(rows[paths.cases(key)]).groupby("scan").dice.mean()
    rows[paths.cases(key)].append(_cases(key, "ensemble", scores))
    for file, tables in rows.items():
        write_table(file, pd.concat(tables))


def _cases(key: str, seed: str, dice: pd.Series) -> pd.DataFrame:
    names = dict.fromkeys(("scan", "participant", "unit"), dice.index)
    return pd.DataFrame({"key": key, "seed": seed, **names, "dice": dice.to_numpy()})


def claims(paths: StudyPaths) -> dict[str, bool]:
    """Whether each table of a study claims that a network is better than an equal one."""
    _, comparisons = benchmark(paths)
    # An ensemble of equal networks is the mean of their scores here, so that its rows repeat the others.
    single = comparisons[~comparisons.second.str.endswith(" (ensemble)")]
    folds = cross_validation(paths)
    against = folds[(folds.reference == SELECTED) & (folds.p_difference < 0.05)]
    return {
        "locked test: the winner is better than a network": bool((single.verdict == "better").any()),
        "locked test: the winner is worse than a network": bool((single.verdict == "worse").any()),
        "folds: the selected network is better than the hand-made one": bool((against.difference < 0).any()),
        "folds: the selected network is worse than the hand-made one": bool((against.difference > 0).any()),
    }


def noise_p(people: int, folds: int, measure: str, rng: np.random.Generator) -> float:
    """p_permutation of a ridge regression on pure noise, cross-validated."""
    features, target, fold = rng.normal(size=(people, 50)), rng.normal(40, 10, people), np.arange(people) % folds
    predicted = np.empty(people)
    for left_out in range(folds):
        train, mean = fold != left_out, target[fold != left_out].mean()
        kernel = features[train] @ features[train].T + 50 * np.eye(train.sum())
        weights = features[train].T @ np.linalg.solve(kernel, target[train] - mean)
        predicted[~train] = mean + features[~train] @ weights
    names = [f"sub-{i:04d}" for i in range(people)]
    table = pd.DataFrame({"scan": names, "participant": names, "unit": names, "fold": fold, "seed": "all"})
    table = table.assign(target=target, predicted=predicted)
    return permutation_p(table, MEASURES[measure], False, int(rng.integers(2**31)))


def main() -> None:
    """Simulate, print and write both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200, help="simulated studies of each design")
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for folds, per_fold in ((5, 16), (10, 8)):
        with tempfile.TemporaryDirectory() as folder:
            found = pd.DataFrame(
                claims(simulate_study(Path(folder) / str(i), folds, per_fold, np.random.default_rng([folds, i])))
                for i in range(arguments.studies)
            )
        design = {"folds": folds, "cases_per_fold": per_fold, "test_cases": 2 * per_fold}
        rows += [{**design, "claim": name, "studies": len(found), "claimed": found[name].mean()} for name in found]
    _write(arguments.output / "claims.tsv", rows)
    rows = []
    for people, folds in ((38, 5), (100, 10)):
        for measure in ("r", "mae"):
            rng = np.random.default_rng([people, folds])
            p = np.array([noise_p(people, folds, measure, rng) for _ in range(arguments.studies)])
            design = {"participants": people, "folds": folds, "measure": measure, "studies": len(p)}
            rows.append({**design, "p_below_0.05": np.mean(p < 0.05)})
    _write(arguments.output / "permutation.tsv", rows)


def _write(file: Path, rows: list[dict[str, object]]) -> None:
    table = pd.DataFrame(rows).round(4)
    write_table(file, table)
    print(table.to_string(index=False), flush=True)


if __name__ == "__main__":
    main()

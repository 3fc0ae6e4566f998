"""Scores of a packaged model on a labelled data set of any layout, per case and per participant."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from voxnas.benchmark.evaluate import Evaluation, case_table
from voxnas.benchmark.leaderboard import case_statistic
from voxnas.benchmark.results import ENSEMBLE
from voxnas.benchmark.statistics import Comparison, Scale, mean_statistic
from voxnas.core.paths import StudyPaths
from voxnas.core.settings import BenchmarkSettings
from voxnas.core.trial import Network
from voxnas.deploy.labelled import prepare_labelled
from voxnas.deploy.predict import ModelFolder
from voxnas.io.records import read_record

JOINT = {"classification": ("auc",), "regression": ("r",)}  # measures that are not means over cases


class ModelScores(NamedTuple):
    """Scores of a model.

    Attributes
    ----------
    cases : DataFrame
        One row per case: key, seed (or ``ensemble``), scan, participant, ``seen`` (whether the study of the model
        trained or selected on the image), and the scores.
    participants : DataFrame
        Mean of each score over the cases of a participant, and their number.
    scores : DataFrame
        Mean of each score over ``cases`` and over ``participants`` with its interval over participants; for classes
        also the AUC, for values also the correlation, over cases.
    excluded : DataFrame
        Scans that were not scored, with the reason.
    identified : bool
        Whether the data set names its participants.
    """

    cases: pd.DataFrame
    participants: pd.DataFrame
    scores: pd.DataFrame
    excluded: pd.DataFrame
    identified: bool


def evaluate_model(
    folder: str | Path, data: Path, ensemble: bool, mirror: bool | None, changes: dict[str, Any]
) -> ModelScores:
    """Score a model folder on a labelled data set.

    Parameters
    ----------
    folder : path
        Output of ``voxnas package``.
    data : path
        Folder of the data set, in any layout.
    ensemble : bool
        Whether to average all members; otherwise the default member predicts.
    mirror : bool or None
        Whether to average over mirrored copies; None: as in the study; False: a single prediction.
    changes : dict
        Settings of the data set that replace those of the study, such as ``target`` and ``participant``.

    Raises
    ------
    UserError
        If the folder is not a model folder, or the data set does not fit the model.
    """
    model = ModelFolder(folder, ensemble, mirror)
    with tempfile.TemporaryDirectory(prefix="voxnas-") as work:
        paths = StudyPaths(work)
        index = prepare_labelled(model.record, model.plan, data, Path(work), changes)
        evaluation = Evaluation(paths, model.view, model.record.nsd_tolerance_mm)
        scans = evaluation.data.development_scans()
        scored = evaluation.score(scans, lambda inputs: [np.mean(model.predictor(inputs), axis=0)])
        key = read_record(Path(folder) / "architecture.json", Network).key
        names = [ENSEMBLE if ensemble else str(model.record.default)]
        cases = case_table(key, scored, names, str(data)).drop(columns="unit")
        excluded = [(s, evaluation.data.reason(s)) for s in sorted(set(index.scans["scan"]) - set(scans))]
    content = dict(zip(index.scans["scan"], index.scans["content"], strict=True))
    known = set(model.record.images)
    people = {p for s, p in zip(index.scans["scan"], index.scans["participant"], strict=True) if content[s] in known}
    cases.insert(4, "seen", ["yes" if p in people else "no" for p in cases["participant"]])
    table = pd.concat(
        [index.excluded[["scan", "reason"]], pd.DataFrame(excluded, columns=["scan", "reason"])], ignore_index=True
    )
    participants = by_participant(cases, model.plan.task)
    return ModelScores(
        cases, participants, score_table(cases, participants, model.plan.task), table, index.dataset["identified"]
    )


def by_participant(cases: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return the mean of each score over the cases of each participant, with the number of cases."""
    scored = _scores(cases, task).assign(participant=cases["participant"])
    groups = scored.groupby("participant", sort=True)
    return groups.mean().assign(cases=groups.size()).reset_index()


def _scores(cases: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return the columns of scores whose mean over cases is a measure."""
    if task == "classification":
        return pd.DataFrame({"accuracy": (cases["predicted"] == cases["target"]).astype(float)})
    if task == "regression":
        return cases[["absolute_error"]].astype(float)
    return cases.drop(columns=["key", "seed", "scan", "participant", "seen"]).astype(float)


def score_table(cases: pd.DataFrame, participants: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return the measures with their intervals, over cases (clustered by participant) and over participants.

    Parameters
    ----------
    cases, participants : DataFrame
        As in :class:`ModelScores`.
    task : str
    """
    confidence = BenchmarkSettings().confidence

    def row(measure: str, over: str, groups: Sequence[str], statistic: Any) -> dict[str, Any]:
        found = Comparison(groups, confidence).score(statistic)
        bounds = {"estimate": found.estimate, "low": found.low, "high": found.high, "note": found.note}
        return {"measure": measure, "over": over, "number": len(groups), **bounds}

    people = list(cases["participant"])
    rows = []
    for name, values in _scores(cases, task).items():
        scale: Scale = "positive" if str(name).startswith(("absolute_error", "hd95_mm")) else "share"
        rows.append(row(str(name), "cases", people, mean_statistic(values.to_numpy(), scale)))
        own = participants[str(name)].to_numpy()
        rows.append(row(str(name), "participants", list(participants["participant"]), mean_statistic(own, scale)))
    typed = cases.assign(target=cases["target"].astype(float)) if task == "regression" else cases
    rows += [row(name, "cases", people, case_statistic(typed, name)) for name in JOINT.get(task, ())]
    return pd.DataFrame(rows)

"""Scores of a network on the locked test split, which only this module reads, and on the folds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from voxnas.benchmark.results import ENSEMBLE
from voxnas.core.architecture import further_copies
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.spec import EvaluateSpec, TrainSpec
from voxnas.core.splits import Splits
from voxnas.core.trial import Network
from voxnas.io.records import read_record
from voxnas.io.tables import read_table

if TYPE_CHECKING:
    from torch import Tensor

    from voxnas.deploy.predictor import Predictor


class Scored(NamedTuple):
    """Scores of a case by member and by their ensemble; cases of one unit are dependent."""

    case: str
    participant: str
    unit: str
    scores: list[dict[str, Any]]


Scores = Iterator[tuple[int, int, Scored]]
Members = Callable[[Sequence["Tensor"]], list[np.ndarray]]


def evaluate_network(paths: StudyPaths, key: str, seeds: int) -> pd.DataFrame:
    """Score each seed of a network, and their ensemble, on the locked test split.

    Segmentations are scored on the grid of the scan against the original label map, so that errors of the preprocessing
    are included. The ledger of the study records each read of the test split. The label maps of seed 0 are saved as
    NIfTI in ``evaluation/<key>/predictions``.

    Parameters
    ----------
    paths : StudyPaths
    key : str
        Key of the network.
    seeds : int
        Number of trainings of the network, with weights in ``networks/<key>/seed-<s>``.

    Returns
    -------
    DataFrame
        One row per seed ("0", "1", ..., "ensemble") and scan: key, seed, scan, participant, unit of the splits, scores.

    Raises
    ------
    UserError
        If weights or the spec of the stage are missing.
    """
    from voxnas.data.ledger import open_test

    evaluation = NetworkEvaluation(paths, key)
    predictor = evaluation.predictor(range(seeds))  # reports missing files before the test split is opened
    test = open_test(paths, "evaluate", key)
    evaluation.data.unlock(test)
    folder = paths.cases(key).parent / "predictions"
    folder.mkdir(parents=True, exist_ok=True)
    names = [*map(str, range(seeds)), ENSEMBLE]
    return case_table(key, evaluation.score(evaluation.data.usable(test), predictor, folder), names, "test")


def predict_folds(paths: StudyPaths, key: str, seeds: int) -> pd.DataFrame:
    """Score a network on the folds: each fold by the seed that did not train on it.

    No training has seen the fold that it predicts, but the search has used the scores of its validation fold.

    Parameters
    ----------
    paths, key, seeds
        As for :func:`evaluate_network`. Seed s predicts fold s; folds beyond the last seed are omitted.

    Returns
    -------
    DataFrame
        As for :func:`evaluate_network`, with the number of the fold as seed.
    """
    evaluation, parts = NetworkEvaluation(paths, key), []
    for fold in range(min(seeds, len(read_record(paths.splits, Splits).folds))):
        scored = evaluation.score(evaluation.data.validation_scans(fold), evaluation.predictor([fold]))
        parts.append(case_table(key, scored, [str(fold)], f"fold {fold}"))
    return pd.concat(parts, ignore_index=True)


def case_table(key: str, scored: Scores, names: Sequence[str], what: str) -> pd.DataFrame:
    """Collect one row per member and case, and print the progress.

    Parameters
    ----------
    key : str
        Key of the network.
    scored : iterator
        From :meth:`Evaluation.score`.
    names : sequence of str
        Value of the column ``seed`` for each member.
    what : str
        The scored part of the data, for the progress.
    """
    began = time.monotonic()
    rows: list[dict[str, Any]] = []
    for number, total, found in scored:
        for seed, scores in zip(names, found.scores, strict=True):
            person = {"participant": found.participant, "unit": found.unit}
            rows.append({"key": key, "seed": seed, "scan": found.case, **person, **scores})
        left = (time.monotonic() - began) / number * (total - number)
        print(f"{key}: {what} case {number}/{total} {found.case}, {left:.0f} s left", flush=True)
    return pd.DataFrame(rows)


class Evaluation:
    """Scores of predictions for preprocessed scans against their targets.

    Parameters
    ----------
    paths : StudyPaths
        Folder with the index, the splits and the preprocessed scans.
    view : str
        The view that the network reads; empty for volumes.
    tolerance : float
        Tolerance of the normalised surface distance, in mm.
    """

    def __init__(self, paths: StudyPaths, view: str, tolerance: float) -> None:
        from voxnas.data.dataset import StudyData

        self.data, self.tolerance = StudyData(paths, view), tolerance
        self.splits = read_record(paths.splits, Splits)
        table = read_table(paths.scans, {"scan": str, "participant": str, "label": str})
        self.rows = {row["scan"]: row for row in table.to_dict("records")}

    def score(self, scans: Sequence[str], predictor: Members, folder: Path | None = None) -> Scores:
        """Yield the scores of the cases of the given scans, by member.

        Parameters
        ----------
        scans : sequence of str
        predictor : callable
            Predictions of the members for the inputs of a case, such as a ``Predictor``.
        folder : path or None
            For the locked test: folder for the label maps of the first member; the ensemble is scored as the last
            member.
        """
        if self.data.plan.task == "segmentation":
            return self._segmentations(scans, predictor, folder)
        return self._vectors(scans, predictor, folder is not None)

    def _vectors(self, scans: Sequence[str], predictor: Members, ensemble: bool) -> Scores:
        """Score the class or value of each case: a scan, or a volume, run or participant of time series."""
        from voxnas.data.samples import by_case
        from voxnas.deploy.predictor import named_prediction

        samples, plan = self.data.samples(scans), self.data.plan
        cases = by_case(samples)
        for number, (case, positions) in enumerate(cases.items(), 1):
            members = predictor([self.data.input(samples[p]) for p in positions])
            members += [np.mean(members, axis=0)] if ensemble else []
            first = samples[positions[0]]
            rows = [{"target": first.target, **named_prediction(vector, plan)} for vector in members]
            if plan.task == "regression":
                rows = [{**r, "absolute_error": abs(r["predicted"] - float(str(first.target)))} for r in rows]
            yield number, len(cases), Scored(case, str(self.rows[first.scan]["participant"]), first.unit, rows)

    def _segmentations(self, scans: Sequence[str], predictor: Members, folder: Path | None) -> Scores:
        """Score overlap and surface distances of each scan."""
        from voxnas.benchmark.metrics import segmentation_scores
        from voxnas.deploy.predictor import label_map
        from voxnas.io.nifti import header_facts, load_label, open_image, save_like

        labels = sorted(map(int, self.data.plan.labels))
        for number, scan in enumerate(scans, 1):
            members, row = predictor([self.data.image(scan)]), self.rows[scan]
            members += [np.mean(members, axis=0)] if folder is not None else []
            truth = np.asarray(load_label(row["label"], labels))
            reference = open_image(row["image"].split(";")[0])
            # Without a voxel size, distances are in voxels, as in the preprocessing.
            spacing = header_facts(reference).spacing or (1.0, 1.0, 1.0)
            maps = [label_map(p, self.data.geometry(scan)) for p in members]
            if folder is not None:
                save_like(folder / f"{scan}.nii.gz", maps[0], reference, maps[0].dtype)
            foreground = [k for k in labels if k]
            scored = [segmentation_scores(m, truth, foreground, spacing, self.tolerance) for m in maps]
            yield number, len(scans), Scored(scan, str(row["participant"]), self.splits.unit_of(scan), scored)


class NetworkEvaluation(Evaluation):
    """A network of a study with the data that its members predict."""

    def __init__(self, paths: StudyPaths, key: str) -> None:
        self.paths, self.key, self.spec = paths, key, read_record(paths.spec("evaluate"), EvaluateSpec)
        self.network = read_record(paths.network(key) / "network.json", Network)
        super().__init__(paths, self.network.architecture.view, self.spec.nsd_tolerance_mm)

    def predictor(self, seeds: Sequence[int]) -> Predictor:
        """Load the members of the given seeds; UserError if weights are missing."""
        from voxnas.deploy.predictor import Predictor

        weights = [self.paths.seed(self.key, s) / "weights.safetensors" for s in seeds]
        if missing := [str(w) for w in weights if not w.is_file()]:
            raise UserError(f"{missing[0]} does not exist", "train the network first")
        copies = further_copies(self.network.recipe.mirror if self.spec.mirror else "none", self.spec.shifts)
        training = read_record(self.paths.spec("train"), TrainSpec).training
        plan, threads, precision = self.data.plan, training.threads, training.precision
        return Predictor(self.network.architecture, weights, plan, threads, precision, copies)

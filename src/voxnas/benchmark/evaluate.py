"""The one reader of the locked test split: scores of a network on every test scan."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from voxnas.core.architecture import MIRROR_AXES
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.trial import Network
from voxnas.io.records import read_json, read_record
from voxnas.io.tables import read_table

if TYPE_CHECKING:
    from voxnas.benchmark.predictor import Predictor
    from voxnas.data.dataset import StudyData

ENSEMBLE = "ensemble"


def evaluate_network(paths: StudyPaths, key: str, seeds: int) -> pd.DataFrame:
    """Score each seed of a network, and their ensemble, on the locked test split.

    Segmentations are scored on the scan's own grid against the file that the data set came with,
    so that errors of preprocessing count. The read of the test split is entered in the study's
    ledger. The label maps of seed 0 are kept as NIfTI in ``evaluation/<key>/predictions``.

    Parameters
    ----------
    paths : StudyPaths
    key : str
        Network to evaluate.
    seeds : int
        Number of its trainings; their weights lie in ``networks/<key>/seed-<s>``.

    Returns
    -------
    DataFrame
        One row a seed ("0", "1", ..., "ensemble") and scan: key, seed, scan, participant, scores.

    Raises
    ------
    UserError
        If weights or the spec of the stage are missing.
    """
    from voxnas.benchmark.predictor import Predictor
    from voxnas.data.dataset import StudyData
    from voxnas.data.splits import open_test

    spec = read_json(paths.spec("evaluate"))
    training = read_json(paths.spec("train"))["training"]
    network = read_record(paths.network(key) / "network.json", Network)
    weights = [paths.seed(key, s) / "weights.safetensors" for s in range(seeds)]
    missing = [str(w) for w in weights if not w.is_file()]
    if missing:
        raise UserError(f"{missing[0]} does not exist", "train the network first")

    data = StudyData(paths, network.architecture.view)
    table = read_table(paths.scans, {"scan": str, "participant": str, "label": str})
    scans = {row["scan"]: row for row in table.to_dict("records")}
    predictor = Predictor(
        network.architecture, weights, data.plan, training, MIRROR_AXES[network.recipe.mirror] if spec["mirror"] else ()
    )
    test = open_test(paths, "evaluate", key)
    data.unlock(test)
    test = data.usable(test)
    (paths.cases(key).parent / "predictions").mkdir(parents=True, exist_ok=True)
    score = _segmentations if data.plan["task"] == "segmentation" else _vectors
    began = time.monotonic()
    rows: list[dict[str, Any]] = []
    for number, total, found in score(paths, spec, data, scans, test, predictor, key):
        for seed, scores in zip([*map(str, range(seeds)), ENSEMBLE], found.scores, strict=True):
            rows.append({"key": key, "seed": seed, "scan": found.case, "participant": found.unit, **scores})
        left = (time.monotonic() - began) / number * (total - number)
        print(f"{key}: test case {number}/{total} {found.case}, {left:.0f} s left", flush=True)
    return pd.DataFrame(rows)


class Scored(NamedTuple):
    """A case with the scores of each member and of their ensemble; cases of one unit are not independent."""

    case: str
    unit: str
    scores: list[dict[str, Any]]


Scores = Iterator[tuple[int, int, Scored]]


def _vectors(
    paths: StudyPaths,
    spec: dict[str, Any],
    data: StudyData,
    scans: Mapping[str, Mapping[Hashable, Any]],
    test: Sequence[str],
    predictor: Predictor,
    key: str,
) -> Scores:
    """Class or value of each case: a scan, or a volume, run or participant of time series."""
    from voxnas.benchmark.predictor import named_prediction
    from voxnas.data.samples import by_case

    samples = data.samples(test)
    cases = by_case(samples)
    for number, (case, positions) in enumerate(cases.items(), 1):
        members = predictor([data.input(samples[p]) for p in positions])
        first = samples[positions[0]]
        rows = [
            {"target": first.target, **named_prediction(v, data.plan)} for v in [*members, np.mean(members, axis=0)]
        ]
        if data.plan["task"] == "regression":
            rows = [{**r, "absolute_error": abs(r["predicted"] - float(str(first.target)))} for r in rows]
        unit = first.unit if data.timed else str(scans[first.scan]["participant"])
        yield number, len(cases), Scored(case, unit, rows)


def _segmentations(
    paths: StudyPaths,
    spec: dict[str, Any],
    data: StudyData,
    scans: Mapping[str, Mapping[Hashable, Any]],
    test: Sequence[str],
    predictor: Predictor,
    key: str,
) -> Scores:
    """Overlap and surface distances of each scan; the first member's label map is written."""
    from voxnas.benchmark.metrics import segmentation_scores
    from voxnas.benchmark.predictor import label_map
    from voxnas.io.nifti import header_facts, load_label, open_image, save_like

    labels = sorted(map(int, data.plan["labels"]))
    for number, scan in enumerate(test, 1):
        members, row = predictor([data.image(scan)]), scans[scan]
        truth = np.asarray(load_label(row["label"], labels))
        reference = open_image(row["image"].split(";")[0])
        # A file that does not say its voxel size is measured in voxels, as preprocessing read it.
        spacing = header_facts(reference).spacing or (1.0, 1.0, 1.0)
        maps = [label_map(p, data.geometry(scan)) for p in [*members, np.mean(members, axis=0)]]
        save_like(paths.cases(key).parent / "predictions" / f"{scan}.nii.gz", maps[0], reference, maps[0].dtype)
        foreground = [k for k in labels if k]
        scored = [segmentation_scores(m, truth, foreground, spacing, spec["nsd_tolerance_mm"]) for m in maps]
        yield number, len(test), Scored(scan, str(row["participant"]), scored)

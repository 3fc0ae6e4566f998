"""The one reader of the locked test split: scores of a network on every test scan."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from voxnas.core.architecture import MIRROR_AXES
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.trial import Network
from voxnas.io.records import read_json, read_record
from voxnas.io.tables import read_table

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

    data = StudyData(paths)
    table = read_table(paths.scans, {"scan": str, "participant": str, "label": str})
    scans = {row["scan"]: row for row in table.to_dict("records")}
    predictor = Predictor(
        network.architecture, weights, data.plan, training, MIRROR_AXES[network.recipe.mirror] if spec["mirror"] else ()
    )
    test = open_test(paths, "evaluate", key)
    data.unlock(test)
    (paths.cases(key).parent / "predictions").mkdir(parents=True, exist_ok=True)

    rows: list[dict[str, Any]] = []
    began = time.monotonic()
    for number, scan in enumerate(test, 1):
        members = predictor(data.image(scan))
        members.append(np.mean(members, axis=0))
        scored = _scores(paths, spec, data, scans[scan], members, key)
        for seed, scores in zip([*map(str, range(seeds)), ENSEMBLE], scored, strict=True):
            rows.append({"key": key, "seed": seed, "scan": scan, "participant": scans[scan]["participant"], **scores})
        left = (time.monotonic() - began) / number * (len(test) - number)
        print(f"{key}: test scan {number}/{len(test)} {scan}, {left:.0f} s left", flush=True)
    return pd.DataFrame(rows)


def _scores(
    paths: StudyPaths, spec: dict[str, Any], data: Any, row: Mapping[Hashable, Any], members: list[np.ndarray], key: str
) -> list[dict[str, Any]]:
    """Scores of one scan for each member; the first member's label map is written."""
    from voxnas.benchmark.metrics import segmentation_scores
    from voxnas.benchmark.predictor import label_map, named_prediction
    from voxnas.io.nifti import header_facts, load_label, open_image, save_like

    plan = data.plan
    if plan["task"] != "segmentation":
        target = data.target(row["scan"])
        rows = [{"target": target, **named_prediction(vector, plan)} for vector in members]
        if plan["task"] == "regression":
            rows = [{**r, "absolute_error": abs(r["predicted"] - float(target))} for r in rows]
        return rows

    labels = sorted(map(int, plan["labels"]))
    truth = np.asarray(load_label(row["label"], labels))
    reference = open_image(row["image"].split(";")[0])
    # A file that does not say its voxel size is measured in voxels, as preprocessing read it.
    spacing = header_facts(reference).spacing or (1.0, 1.0, 1.0)
    maps = [label_map(p, data.geometry(row["scan"])) for p in members]
    save_like(paths.cases(key).parent / "predictions" / f"{row['scan']}.nii.gz", maps[0], reference, maps[0].dtype)
    return [segmentation_scores(m, truth, [k for k in labels if k], spacing, spec["nsd_tolerance_mm"]) for m in maps]

"""Digest of a study's data, computed without reading images and without torch or pandas."""

import hashlib

from voxnas.core.canonical import canonical_json
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.io.records import read_json
from voxnas.io.tsv import read_cells


def data_digest(paths: StudyPaths) -> str:
    """Return the SHA-256 of a training's data: content of the scans, plan, splits, preprocessing and spatial steps.

    Raises
    ------
    UserError
        If scans.tsv, the plan or the splits are missing or damaged.
    """
    names, rows = read_cells(paths.scans)
    if missing := {"scan", "sha256", "participant"} - {*names}:
        raise UserError(f"{paths.scans} has no column {min(missing)!r}", "run the stage index")
    records = [dict(zip(names, row, strict=True)) for row in rows]
    content = [[row["scan"], row["sha256"], row["participant"], row.get("target")] for row in records]
    # Settings that do not change the arrays, such as the number of shards, are excluded.
    preprocess, spatial = (
        read_json(spec) if spec.exists() else {} for spec in map(paths.spec, ("preprocess", "spatial"))
    )
    splits = read_json(paths.splits)
    if splits.get("unit") == "participant":  # the scans determine these units
        splits = {key: value for key, value in splits.items() if key not in ("units", "within")}
    record = [content, read_json(paths.plan), splits, preprocess.get("version", 0)]
    if spatial:  # of studies with raw runs only
        record.append(spatial)
    return hashlib.sha256(canonical_json(record).encode()).hexdigest()

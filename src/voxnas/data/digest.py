"""Identity of a study's data, without reading an image and without torch or pandas."""

from __future__ import annotations

import csv
import hashlib

from voxnas.core.canonical import canonical_json
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.io.records import read_json


def data_digest(paths: StudyPaths) -> str:
    """SHA-256 of what a training depends on: the scans' content, plan, splits, version of preprocessing, spatial steps.

    Raises
    ------
    UserError
        If one of the three files is missing or damaged.
    """
    try:
        with open(paths.scans, encoding="utf-8", newline="") as file:
            content = [[row["scan"], row["sha256"]] for row in csv.DictReader(file, delimiter="\t")]
    except FileNotFoundError:
        raise UserError(f"{paths.scans} does not exist", "run the stage index") from None
    except KeyError as error:
        raise UserError(f"{paths.scans} has no column {error}", "run the stage index") from None
    # The number of shards is no part of it, nor is anything else that leaves the arrays as they are.
    preprocess, spatial = (
        read_json(spec) if spec.exists() else {} for spec in map(paths.spec, ("preprocess", "spatial"))
    )
    splits = read_json(paths.splits)
    if splits.get("unit") == "participant":  # then the scans say all of the units
        splits = {key: value for key, value in splits.items() if key not in ("units", "within")}
    record = [content, read_json(paths.plan), splits, preprocess.get("version", 0)]
    if spatial:  # only of studies with raw runs
        record.append(spatial)
    return hashlib.sha256(canonical_json(record).encode()).hexdigest()

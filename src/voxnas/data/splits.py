"""Who is locked away for the test, and who is in which fold: by participant, never by scan."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from voxnas.core.canonical import canonical_json, digest
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.seeds import derive_seed
from voxnas.io.records import read_json

SCHEMA_VERSION = 1


def make_splits(scans: pd.DataFrame, task: str, test: float, folds: int, seed: int) -> dict:
    """Split the participants into a locked test set and folds.

    All scans of a participant go together. For classification both are stratified by the target.
    The order of the rows does not matter.

    Parameters
    ----------
    scans : DataFrame
        With the columns ``scan``, ``participant`` and ``target``.
    task : str
        ``classification`` stratifies.
    test : float
        Share of the participants in the test set; at least one participant.
    folds : int
        Number of folds of the rest.
    seed : int
        The study's seed.

    Returns
    -------
    dict
        The content of splits.json: ``test`` and ``folds`` hold sorted scan ids.

    Raises
    ------
    UserError
        If there are too few participants, in all or of one class.
    """
    scans = scans.sort_values("scan")
    if task == "classification" and scans["target"].isna().any():
        raise UserError(f"scan {scans.loc[scans['target'].isna(), 'scan'].iloc[0]!r} has no target")
    strata = scans.groupby("participant")["target"].first() if task == "classification" else None
    members: dict[str, list[str]] = {}
    for participant in sorted(scans["participant"].unique()):
        members.setdefault("" if strata is None else str(strata[participant]), []).append(participant)
    total = sum(map(len, members.values()))
    tested = max(1, round(test * total))
    _check_counts(members, total - tested, tested, folds)

    test_set: list[str] = []
    fold_sets: list[list[str]] = [[] for _ in range(folds)]
    dealt = 0
    for stratum, count in apportion({s: len(m) for s, m in members.items()}, tested).items():
        rng = np.random.default_rng(derive_seed(seed, "splits", stratum))
        order = [members[stratum][i] for i in rng.permutation(len(members[stratum]))]
        test_set += order[:count]
        # Dealing goes on where the last stratum ended, so that the folds differ by one at most.
        for participant in order[count:]:
            fold_sets[dealt % folds].append(participant)
            dealt += 1

    def scans_of(participants: list[str]) -> list[str]:
        return sorted(scans.loc[scans["participant"].isin(participants), "scan"])

    return {
        "schema_version": SCHEMA_VERSION,
        "unit": "participant",
        "test": scans_of(test_set),
        "folds": [scans_of(fold) for fold in fold_sets],
    }


def _check_counts(members: dict[str, list[str]], left: int, tested: int, folds: int) -> None:
    if left < folds:
        raise UserError(
            f"{left + tested} participants are too few: {tested} for the test leave {left} for splits.folds = {folds}",
            f"give at least {folds + tested} participants, or lower splits.folds or splits.test",
        )
    if len(members) == 1:
        return
    rare = min(members, key=lambda s: len(members[s]))
    if len(members[rare]) < folds + 1:
        raise UserError(
            f"class {rare!r} has {len(members[rare])} participants, too few for the test and splits.folds = {folds}",
            f"give every class at least {folds + 1}, lower splits.folds, or leave the class out",
        )


def apportion(sizes: dict[str, int], seats: int) -> dict[str, int]:
    """Share out `seats` in proportion to the sizes, by largest remainder."""
    total = sum(sizes.values())
    exact = {name: seats * size / total for name, size in sizes.items()}
    counts = {name: int(share) for name, share in exact.items()}
    by_remainder = sorted(sizes, key=lambda name: (counts[name] - exact[name], name))
    for name in by_remainder[: seats - sum(counts.values())]:
        counts[name] += 1
    return counts


def open_test(paths: StudyPaths, reader: str, key: str) -> list[str]:
    """The scan ids of the locked test split, and a line in the ledger that says who asked.

    Nothing else hands these ids out. The line is on disk before they are.

    Parameters
    ----------
    paths : StudyPaths
        The study.
    reader : str
        What reads (``evaluate``).
    key : str
        What is tested: the key of a network.

    Returns
    -------
    list of str
        Sorted scan ids.
    """
    scans = read_json(paths.splits)["test"]
    line = {
        "reader": reader,
        "key": key,
        "count": len(scans),
        "scans_digest": digest(scans),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    # One write in append mode: lines of jobs that run at once do not mix.
    handle = os.open(paths.ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(handle, (canonical_json(line) + "\n").encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    return scans

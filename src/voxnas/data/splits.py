"""Who is locked away for the test, and who is in which fold: by participant, site, session or run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxnas.core.canonical import canonical_json, digest
from voxnas.core.errors import UserError, suggest
from voxnas.core.paths import StudyPaths
from voxnas.core.seeds import derive_seed
from voxnas.core.settings import SplitUnit
from voxnas.core.splits import Splits
from voxnas.data.units import WITHIN, join_twins, unit_names
from voxnas.io.records import read_record

DRAWS = 200  # random sets of sites among which the test set is chosen
DIVISIONS = 20  # divisions of the rest among which the folds are


def make_splits(
    scans: pd.DataFrame,
    task: str,
    test: float,
    folds: int | str,
    seed: int,
    unit: SplitUnit = "participant",
    test_units: Sequence[str] = (),
    per_volume: bool = False,
) -> Splits:
    """Split the units into a locked test set and folds.

    All scans of a unit go together, and units that share an image are one. For classification both are
    stratified by the target: participants, sessions and runs, which have one target each, are dealt out class by
    class; sites, which have people of all classes, go to folds by scikit-learn's StratifiedGroupKFold.
    The order of the rows does not matter.

    Parameters
    ----------
    scans : DataFrame
        The index; at least ``scan``, ``participant`` and ``target``.
    task : str
        ``classification`` stratifies.
    test : float
        Share of the units in the test set; at least one unit.
    folds : int or "leave_one_out"
        Number of folds of the rest, or one for each unit.
    seed : int
        The study's seed.
    unit : {"participant", "site", "session", "run"}
        What is never divided.
    test_units : sequence of str
        Units in the test set; empty: drawn. Of sessions and runs a part of the name is enough (``run-12``).
    per_volume : bool
        Targets are those of volumes, so scans have none.

    Returns
    -------
    Splits

    Raises
    ------
    UserError
        If there are too few units, in all or of one class, or none of a name in `test_units`.
    """
    scans = scans.sort_values("scan", ignore_index=True)
    stratified = task == "classification" and not per_volume
    if stratified and scans["target"].isna().any():
        raise UserError(f"scan {scans.loc[scans['target'].isna(), 'scan'].iloc[0]!r} has no target")
    names = join_twins(unit_names(scans, unit), scans, unit)
    table = scans.assign(unit=scans["scan"].map(names))
    split = _split_sites if unit == "site" else _split_units
    locked, groups = split(table, stratified, test, folds, seed, unit, _named(test_units, set(names.values()), unit))

    def scans_of(units: list[str]) -> list[str]:
        return sorted(table.loc[table["unit"].isin(units), "scan"])

    return Splits(
        unit=unit,
        within=unit in WITHIN,
        units=names,
        test=tuple(scans_of(locked)),
        folds=tuple(tuple(scans_of(group)) for group in groups),
    )


Split = tuple[list[str], list[list[str]]]  # units of the test set, units of each fold


def _named(wanted: Sequence[str], units: set[str], unit: str) -> list[str]:
    """Units by their names; an unknown name is a UserError."""
    found: set[str] = set()
    for name in wanted:
        parts = {u for u in units if name in u.split("_")} if unit in WITHIN else set()
        fitting = {name} & units or parts
        if not fitting:
            raise UserError(f"splits.test_units: no {unit} is {name!r}", suggest(name, units))
        found |= fitting
    return sorted(found)


def _split_units(
    table: pd.DataFrame, stratified: bool, test: float, folds: int | str, seed: int, unit: str, named: list[str]
) -> Split:
    """Deal out units of one class each."""
    strata = table.groupby("unit")["target"].first() if stratified else None
    members: dict[str, list[str]] = {}
    for name in sorted(table["unit"].unique()):
        members.setdefault("" if strata is None else str(strata[name]), []).append(name)
    total = sum(map(len, members.values()))
    tested = len(named) or max(1, round(test * total))
    count = total - tested if folds == "leave_one_out" else int(folds)
    _check_counts(members, total - tested, tested, count, unit, one_each=folds == "leave_one_out")
    if named:
        seats = {s: len(set(m) & set(named)) for s, m in members.items()}
    else:
        seats = apportion({s: len(m) for s, m in members.items()}, tested)
    locked: list[str] = []
    groups: list[list[str]] = [[] for _ in range(count)]
    dealt = 0
    for stratum, places in seats.items():
        rng = np.random.default_rng(derive_seed(seed, "splits", stratum))
        order = [members[stratum][i] for i in rng.permutation(len(members[stratum]))]
        if named:
            order.sort(key=lambda name: name not in named)
        locked += order[:places]
        # Dealing goes on where the last stratum ended, so that the folds differ by one at most.
        for name in order[places:]:
            groups[dealt % count].append(name)
            dealt += 1
    return locked, groups


def _split_sites(
    table: pd.DataFrame, stratified: bool, test: float, folds: int | str, seed: int, unit: str, named: list[str]
) -> Split:
    """Deal out units that differ in size and hold several classes."""
    units = sorted(table["unit"].unique())
    tested = len(named) or max(1, round(test * len(units)))
    count = len(units) - tested if folds == "leave_one_out" else int(folds)
    _check_counts({"": units}, len(units) - tested, tested, count, unit, one_each=folds == "leave_one_out")
    locked = named or _draw_sites(table, units, tested, test, stratified, seed)
    rest = table[~table["unit"].isin(locked)]
    if folds == "leave_one_out":
        return locked, [[name] for name in units if name not in locked]
    rows = _divide_sites(rest, count, stratified, seed)
    groups = [sorted(rest["unit"].iloc[chosen].unique()) for chosen in rows]
    for place, group in [("the test split", locked), *((f"fold {i}", g) for i, g in enumerate(groups))]:
        classes = table.loc[table["unit"].isin(group), "target"].unique()
        if stratified and len(classes) < 2:
            raise UserError(
                f"{place} ({unit} {', '.join(group) or 'none'}) has one class only, "
                f"{', '.join(map(str, classes)) or 'none'}",
                "lower splits.folds, or name the sites of the test in splits.test_units",
            )
    return locked, groups


def _divide_sites(rest: pd.DataFrame, count: int, stratified: bool, seed: int) -> list[NDArray[np.intp]]:
    """Rows of each fold: of many divisions by scikit-learn the one whose folds are most alike in size and classes."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold  # seconds, which other units need not pay

    if not stratified:
        return [chosen for _, chosen in GroupKFold(count).split(rest, groups=rest["unit"])]
    states = [derive_seed(seed, "splits", "sites", i) % 2**32 for i in range(DIVISIONS)]
    dividers = [StratifiedGroupKFold(count, shuffle=True, random_state=state) for state in states]
    divisions = [[chosen for _, chosen in d.split(rest, rest["target"], rest["unit"])] for d in dividers]
    marks = pd.get_dummies(rest["target"]).to_numpy()
    spreads = [np.ptp([marks[chosen].sum(axis=0) for chosen in rows], axis=0).max() for rows in divisions]
    return divisions[int(np.argmin(spreads))]


def _draw_sites(
    table: pd.DataFrame, units: list[str], tested: int, test: float, stratified: bool, seed: int
) -> list[str]:
    """Of many random sets of sites the one whose share of the scans, of every class, is nearest to `test`."""
    rng = np.random.default_rng(derive_seed(seed, "splits", "test sites"))
    classes = table["target"] if stratified else pd.Series("", table.index)
    counts = pd.crosstab(table["unit"], classes).loc[units].to_numpy()
    draws = [np.sort(rng.permutation(len(units))[:tested]) for _ in range(DRAWS)]
    misses = [np.abs(counts[draw].sum(axis=0) / counts.sum(axis=0) - test).max() for draw in draws]
    return [units[i] for i in draws[int(np.argmin(misses))]]


def _check_counts(members: dict[str, list[str]], left: int, tested: int, folds: int, unit: str, one_each: bool) -> None:
    least = 2 if one_each else folds
    if left < least:
        within = " (splits.unit: run makes a within-participant study)" if unit == "participant" else ""
        what = f"splits.folds = {'leave_one_out' if one_each else folds}"
        raise UserError(
            f"{left + tested} {unit}s are too few: {tested} for the test leave {max(left, 0)} for {what}",
            f"give at least {least + tested} {unit}s, or lower splits.folds or splits.test{within}",
        )
    if len(members) == 1 or one_each:
        return
    rare = min(members, key=lambda s: len(members[s]))
    if len(members[rare]) < folds + 1:
        raise UserError(
            f"class {rare!r} has {len(members[rare])} {unit}s, too few for the test and splits.folds = {folds}",
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
    scans = list(read_record(paths.splits, Splits).test)
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

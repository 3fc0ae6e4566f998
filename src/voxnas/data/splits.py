"""The locked test split and the folds, by participant, site, session or run."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxnas.core.errors import UserError, suggest
from voxnas.core.seeds import derive_seed
from voxnas.core.settings import SplitUnit
from voxnas.core.splits import Splits
from voxnas.data.units import WITHIN, join_twins, unit_names

DRAWS = 200  # random sets of sites, the candidates for the test set
DIVISIONS = 20  # random divisions of the other sites, the candidates for the folds


def make_splits(
    scans: pd.DataFrame,
    task: str,
    test: float | Literal["folder"],
    folds: int | str,
    seed: int,
    unit: SplitUnit = "participant",
    test_units: Sequence[str] = (),
    per_volume: bool = False,
) -> Splits:
    """Split the units into a locked test set and folds.

    All scans of a unit stay together; units that share an image are merged. For classification the test set and the
    folds are stratified by the target: participants, sessions and runs, which have one target each, are distributed
    class by class; sites, which hold several classes, are divided by scikit-learn's StratifiedGroupKFold. The result
    does not depend on the order of the rows.

    Parameters
    ----------
    scans : DataFrame
        The index; at least ``scan``, ``participant`` and ``target``.
    task : str
        ``classification`` stratifies.
    test : float or "folder"
        Share of the units in the test set, at least one unit; or the scans of the subset ``test``.
    folds : int or "leave_one_out"
        Number of folds of the other units, or one fold for each unit.
    seed : int
        The study's seed.
    unit : {"participant", "site", "session", "run"}
        The unit that is never divided.
    test_units : sequence of str
        Units of the test set; empty: drawn. A part of the name suffices for sessions and runs (``run-12``).
    per_volume : bool
        Volumes have targets, and scans have none.

    Returns
    -------
    Splits

    Raises
    ------
    UserError
        If the units are too few, in total or of one class, or a name in `test_units` is unknown.
    """
    scans = scans.sort_values("scan", ignore_index=True)
    stratified = task == "classification" and not per_volume
    if stratified and scans["target"].isna().any():
        raise UserError(f"scan {scans.loc[scans['target'].isna(), 'scan'].iloc[0]!r} has no target")
    names = join_twins(unit_names(scans, unit), scans, unit)
    table = scans.assign(unit=scans["scan"].map(names))
    units = sorted(set(names.values()))
    named, share = (_held_out(table), 0.0) if test == "folder" else (_named(test_units, set(units), unit), test)
    tested = len(named) or max(1, round(share * len(units)))
    one_each = folds == "leave_one_out"
    count = len(units) - tested if one_each else int(folds)
    members: dict[str, list[str]] = {}
    strata = table.groupby("unit")["target"].first() if stratified and unit != "site" else None
    for name in units:
        members.setdefault("" if strata is None else str(strata[name]), []).append(name)
    _check_counts(members, len(units) - tested, tested, count, unit, one_each)
    if unit == "site":
        locked = named or _draw_sites(table, units, tested, share, stratified, seed)
        groups = _divide_sites(table, units, locked, count, stratified, one_each, seed)
    else:
        locked, groups = _deal(members, tested, count, seed, named)

    def scans_of(units: list[str]) -> list[str]:
        return sorted(table.loc[table["unit"].isin(units), "scan"])

    return Splits(
        unit=unit,
        within=unit in WITHIN,
        units=names,
        test=tuple(scans_of(locked)),
        folds=tuple(tuple(scans_of(group)) for group in groups),
    )


def _held_out(table: pd.DataFrame) -> list[str]:
    """Return the units of the subset ``test``; a UserError if it is empty or shares a unit with the other scans."""
    held_out = table["subset"] == "test"
    locked = set(table.loc[held_out, "unit"])
    if not locked:
        raise UserError("no scan of the folder of test scans can be used", "see index/excluded.tsv")
    if both := sorted(locked & set(table.loc[~held_out, "unit"])):
        scans = [table.loc[(table["unit"] == both[0]) & rows, "scan"].iloc[0] for rows in (held_out, ~held_out)]
        raise UserError(
            f"{both[0]} is in the folder of test scans ({scans[0]}) and in that of training scans ({scans[1]})",
            "remove one of the two, or set splits.test to a fraction",
        )
    return sorted(locked)


def _named(wanted: Sequence[str], units: set[str], unit: str) -> list[str]:
    """Find units by their names; an unknown name is a UserError."""
    found: set[str] = set()
    for name in wanted:
        parts = {u for u in units if name in u.split("_")} if unit in WITHIN else set()
        fitting = {name} & units or parts
        if not fitting:
            raise UserError(f"splits.test_units: no {unit} is {name!r}", suggest(name, units))
        found |= fitting
    return sorted(found)


def _deal(
    members: dict[str, list[str]], tested: int, count: int, seed: int, named: list[str]
) -> tuple[list[str], list[list[str]]]:
    """Distribute the units of each class to the test set and the folds."""
    if named:
        seats = {s: len(set(m) & set(named)) for s, m in members.items()}
    else:
        seats = apportion({s: len(m) for s, m in members.items()}, tested)
    locked: list[str] = []
    rest: list[str] = []
    for stratum, places in seats.items():
        rng = np.random.default_rng(derive_seed(seed, "splits", stratum))
        order = [members[stratum][i] for i in rng.permutation(len(members[stratum]))]
        if named:
            order.sort(key=lambda name: name not in named)
        locked += order[:places]
        rest += order[places:]
    # In turn over all classes, so that the folds differ by one unit at most.
    return locked, [rest[fold::count] for fold in range(count)]


def _divide_sites(
    table: pd.DataFrame, units: list[str], locked: list[str], count: int, stratified: bool, one_each: bool, seed: int
) -> list[list[str]]:
    """Divide the sites outside the test set into folds; a UserError if a fold or the test set has one class only."""
    if one_each:
        return [[name] for name in units if name not in locked]
    rest = table[~table["unit"].isin(locked)]
    groups = [sorted(rest["unit"].iloc[rows].unique()) for rows in _fold_rows(rest, count, stratified, seed)]
    for place, group in [("the test split", locked), *((f"fold {i}", g) for i, g in enumerate(groups))]:
        classes = table.loc[table["unit"].isin(group), "target"].unique()
        if stratified and len(classes) < 2:
            raise UserError(
                f"{place} (site {', '.join(group) or 'none'}) has one class only, "
                f"{', '.join(map(str, classes)) or 'none'}",
                "lower splits.folds, or name the sites of the test in splits.test_units",
            )
    return groups


def _fold_rows(rest: pd.DataFrame, count: int, stratified: bool, seed: int) -> list[NDArray[np.intp]]:
    """Return the rows of each fold: of many divisions by scikit-learn, the best balanced in size and classes."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold  # its import takes seconds

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
    """Draw many random sets of sites; return the set whose share of the scans, of every class, is nearest to `test`."""
    rng = np.random.default_rng(derive_seed(seed, "splits", "test sites"))
    classes = table["target"] if stratified else pd.Series("", table.index)
    counts = pd.crosstab(table["unit"], classes).loc[units].to_numpy()
    draws = [np.sort(rng.permutation(len(units))[:tested]) for _ in range(DRAWS)]
    misses = [np.abs(counts[draw].sum(axis=0) / counts.sum(axis=0) - test).max() for draw in draws]
    return [units[i] for i in draws[int(np.argmin(misses))]]


def _check_counts(members: dict[str, list[str]], left: int, tested: int, folds: int, unit: str, one_each: bool) -> None:
    """Raise a UserError if the units are too few for the test set and the folds, in total or of one class."""
    least = 2 if one_each else folds
    if left < least:
        within = " (splits.unit: run makes a within-participant study)" if unit == "participant" else ""
        raise UserError(
            f"{left + tested} {unit}s are too few: {tested} for the test leave {max(left, 0)} for "
            f"splits.folds = {'leave_one_out' if one_each else folds}",
            f"give at least {least + tested} {unit}s, or lower splits.folds or splits.test{within}",
        )
    if len(members) == 1 or one_each:
        return
    rare = min(members, key=lambda s: len(members[s]))
    if len(members[rare]) < folds + 1:
        raise UserError(
            f"class {rare!r} has {len(members[rare])} {unit}s, too few for the test and splits.folds = {folds}",
            f"give every class at least {folds + 1}, lower splits.folds, or exclude the class",
        )


def apportion(sizes: dict[str, int], seats: int) -> dict[str, int]:
    """Distribute `seats` in proportion to the sizes, by the largest remainder."""
    total = sum(sizes.values())
    exact = {name: seats * size / total for name, size in sizes.items()}
    counts = {name: int(share) for name, share in exact.items()}
    by_remainder = sorted(sizes, key=lambda name: (counts[name] - exact[name], name))
    for name in by_remainder[: seats - sum(counts.values())]:
        counts[name] += 1
    return counts

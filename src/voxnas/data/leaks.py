"""Leaks between the locked test split and the folds, each found and named.

A leak makes a network look better than it is: Wen et al. 2020 (doi:10.1016/j.media.2020.101694) found one in half
of the published classifications of Alzheimer's disease by convolutional networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.splits import Splits
from voxnas.data.bids_names import source_of
from voxnas.data.units import WITHIN, telling_contents, unit_names
from voxnas.io.records import read_record
from voxnas.io.tables import read_table


def check_splits(scans: pd.DataFrame, splits: Splits) -> None:
    """Raise if anything that must stay together is in two splits.

    Kinds of leak, by the name in the message: a *scan* in two splits, a *derivative* of the same scan, a *person
    under two ids* (participants that share an image), the *same image* twice, and then, by the study's
    unit, a *participant*, *site*, *session* or *run*. A within-participant study may divide participants.

    Parameters
    ----------
    scans : DataFrame
        The index. Columns that an older index lacks are not looked at.
    splits : Splits

    Raises
    ------
    UserError
        At the first leak: its kind, the two scans and the two splits; and if a scan of the splits is not in
        the index.
    """
    part_of: dict[str, str] = {}
    parts = {"the test split": splits.test} | {f"fold {i}": fold for i, fold in enumerate(splits.folds)}
    for part, members in parts.items():
        for scan in members:
            if scan in part_of:
                _leak("scan", repr(scan), (scan, part_of[scan]), (scan, part))
            part_of[scan] = part
    if unknown := sorted(part_of.keys() - set(scans["scan"])):
        raise UserError(f"splits.json names {unknown[0]!r}, which is not in the index", "run the stage index again")
    split = scans[scans["scan"].isin(part_of.keys())].sort_values("scan")
    unit = splits.unit
    people = split["participant" if "participant" in split else "scan"].astype(str)
    person = dict(zip(split["scan"], people, strict=True))

    # Names of BIDS alone say what is derived of what.
    sources = {scan: source_of(scan) for scan in split["scan"] if scan.startswith("sub-")}
    for value, first, second in _crossing(sources, part_of):
        _leak("derivative", f"of the same scan, {value}", (first, part_of[first]), (second, part_of[second]))
    for column in telling_contents(unit):
        contents = dict(split.dropna(subset=column)[["scan", column]].to_numpy()) if column in split else {}
        for _, first, second in _crossing(contents, part_of):
            places = (first, part_of[first]), (second, part_of[second])
            if person[first] != person[second]:
                _leak("person under two ids", f"{person[first]} and {person[second]}, who share an image", *places)
            if column == "content":  # a participant in two splits is told below
                _leak("same image", f"of {person[first]}", *places)
    kinds = {"participant": person} if unit not in WITHIN else {}
    if unit != "participant":
        kinds[unit] = unit_names(split, unit)
    for kind, units in kinds.items():
        for value, first, second in _crossing(units, part_of):
            _leak(kind, value, (first, part_of[first]), (second, part_of[second]))


def check_study(paths: StudyPaths) -> None:
    """Check the splits of a study against its index, as :func:`check_splits` does; no scan is opened."""
    check_splits(read_table(paths.scans, {"scan": str}), read_record(paths.splits, Splits))


def _crossing(values: Mapping[str, str], part_of: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Values that scans of two parts have, each with the first such pair of scans."""
    seen: dict[str, str] = {}
    for scan, value in values.items():
        if part_of[seen.setdefault(value, scan)] != part_of[scan]:
            yield value, seen[value], scan


def _leak(kind: str, which: str, first: tuple[str, str], second: tuple[str, str]) -> None:
    raise UserError(
        f"leak ({kind}): {which}: {first[0]} is in {first[1]}, {second[0]} in {second[1]}",
        "let voxnas split the scans anew (splits.unit says what stays together), or leave one of the two out",
    )

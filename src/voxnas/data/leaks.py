"""Detection of data leakage between the locked test split and the folds.

Leakage overestimates the performance of a network: Wen et al. 2020 (doi:10.1016/j.media.2020.101694) found it in half
of the published classifications of Alzheimer's disease by convolutional networks.
"""

from collections.abc import Iterator, Mapping

import pandas as pd

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.splits import Splits
from voxnas.data.bids_names import source_of
from voxnas.data.blocks import split_members
from voxnas.data.units import WITHIN, identifying_contents, unit_names
from voxnas.io.records import read_json, read_record
from voxnas.io.tables import read_table

Place = tuple[str, str]  # a scan, and its split


def check_splits(scans: pd.DataFrame, splits: Splits) -> None:
    """Raise a UserError if related scans are in two splits.

    Kinds of leak, as named in the message: a *scan* in two splits, a *derivative* of the same scan, a *person
    under two ids* (participants that share an image), the *same image* twice, and then, by the study's
    unit, a *participant*, *site*, *session* or *run*. A within-participant study may divide participants.

    Parameters
    ----------
    scans : DataFrame
        The index. Columns that an older index lacks are not checked.
    splits : Splits

    Raises
    ------
    UserError
        At the first leak, with its kind, the two scans and the two splits; or if a scan of the splits is not in
        the index.
    """
    part_of: dict[str, str] = {}
    parts = {"the test split": splits.test} | {f"fold {i}": fold for i, fold in enumerate(splits.folds)}
    for part, members in parts.items():
        for scan in members:
            if scan in part_of:
                raise _leak("scan", repr(scan), (scan, part_of[scan]), (scan, part))
            part_of[scan] = part
    if unknown := sorted(part_of.keys() - set(scans["scan"])):
        raise UserError(f"splits.json names {unknown[0]!r}, which is not in the index", "run the stage index again")
    split = scans[scans["scan"].isin(part_of.keys())].sort_values("scan")
    unit = splits.unit
    people = split["participant" if "participant" in split else "scan"].astype(str)
    person = dict(zip(split["scan"], people, strict=True))

    # Only BIDS names tell the source of a derivative.
    sources = {scan: source_of(scan) for scan in split["scan"] if scan.startswith("sub-")}
    for value, first, second in _crossing(sources, part_of):
        raise _leak("derivative", f"of the same scan, {value}", first, second)
    for column in identifying_contents(unit):
        contents = dict(split.dropna(subset=column)[["scan", column]].to_numpy()) if column in split else {}
        for _, first, second in _crossing(contents, part_of):
            one, other = person[first[0]], person[second[0]]
            if one != other:
                raise _leak("person under two ids", f"{one} and {other}, who share an image", first, second)
            if column == "content":  # a participant in two splits is reported below
                raise _leak("same image", f"of {one}", first, second)
    kinds = {"participant": person} if unit not in WITHIN else {}
    if unit != "participant":
        kinds[unit] = unit_names(split, unit)
    for kind, units in kinds.items():
        for value, first, second in _crossing(units, part_of):
            raise _leak(kind, value, first, second)


def check_study(paths: StudyPaths) -> None:
    """Check the splits of a study against its index by :func:`check_splits`; no scan is opened."""
    splits = read_record(paths.splits, Splits)
    target = read_json(paths.dataset)["target"] if splits.unit == "block" else ""
    check_splits(split_members(read_table(paths.scans, {"scan": str}), splits, target), splits)


def _crossing(values: Mapping[str, str], part_of: Mapping[str, str]) -> Iterator[tuple[str, Place, Place]]:
    """Yield the values that scans of two splits share, each with such a pair of scans."""
    seen: dict[str, str] = {}
    for scan, value in values.items():
        first = seen.setdefault(value, scan)
        if part_of[first] != part_of[scan]:
            yield value, (first, part_of[first]), (scan, part_of[scan])


def _leak(kind: str, which: str, first: Place, second: Place) -> UserError:
    return UserError(
        f"leak ({kind}): {which}: {first[0]} is in {first[1]}, {second[0]} in {second[1]}",
        "let voxnas split the scans again (splits.unit is the unit that stays together), or remove one of the two",
    )

"""What a split never divides: participants, sites, sessions or runs, by name."""

from __future__ import annotations

import pandas as pd

from voxnas.core.errors import UserError

WITHIN = ("session", "run")  # units that make a within-participant study
# Columns with digests of images: scans that share a value show one head.
CONTENTS = ("content", "anatomical_sha256")


def unit_names(scans: pd.DataFrame, unit: str) -> dict[str, str]:
    """Name of the unit of each scan.

    A run is ``sub-01_ses-a_task-rest_run-1`` whatever its acquisition, space, echo or description, for these
    tell images of one scan apart; entities that are absent are left out.

    Parameters
    ----------
    scans : DataFrame
        The index; of it ``scan``, ``participant``, and where the unit needs them ``site``, ``session``,
        ``task`` and ``run``.
    unit : {"participant", "site", "session", "run"}
        Unit.

    Raises
    ------
    UserError
        If a scan has no site, or no session, and the unit is one.
    """
    if unit in ("site", "session"):
        missing = scans[_column(scans, unit).isna()]
        if len(missing):
            raise UserError(
                f"splits.unit = {unit}, but {len(missing)} of {len(scans)} scans have no {unit}, such as "
                f"{missing['scan'].iloc[0]!r}",
                "fill the column site of participants.tsv" if unit == "site" else "set splits.unit: run or participant",
            )
    if unit == "participant":
        names = scans["participant"]
    elif unit == "site":
        names = scans["site"]
    else:
        names = scans["participant"].astype(str)
        for key, column in {"ses": "session", "task": "task", "run": "run"}.items():
            if column == "session" or unit == "run":
                values = _column(scans, column)
                names = names + values.map(lambda v, key=key: f"_{key}-{v}", na_action="ignore").fillna("")
    return dict(zip(scans["scan"], names, strict=True))


def _column(scans: pd.DataFrame, name: str) -> pd.Series:
    """A column, or missing values where the table has none of that name."""
    return scans[name] if name in scans else pd.Series(pd.NA, scans.index, dtype=object)


def telling_contents(unit: str) -> tuple[str, ...]:
    """Those of :data:`CONTENTS` that make two units one: runs and sessions of a person share anatomy as a rule."""
    return CONTENTS[:1] if unit in WITHIN else CONTENTS


def join_twins(units: dict[str, str], scans: pd.DataFrame, unit: str) -> dict[str, str]:
    """The units, with those that share an image made one, under the first of their names.

    Public data sets have persons under two ids: in ABIDE I, sub-0050279 and sub-0050286 have the same series.

    Parameters
    ----------
    units : dict
        From :func:`unit_names`.
    scans : DataFrame
        The index, with the columns :data:`CONTENTS` where it has them.
    unit : str
        What the units are. Runs and sessions of one participant share an anatomical image as a matter of course;
        sites that one participant went to are one unit.
    """
    head = {name: name for name in units.values()}

    def find(name: str) -> str:
        while head[name] != name:
            name = head[name]
        return name

    columns = (*telling_contents(unit), *(["participant"] if unit == "site" else []))
    for column in set(columns) & set(scans):
        for _, twins in scans.dropna(subset=column).groupby(column)["scan"]:
            first, *others = sorted({find(units[scan]) for scan in twins})
            head.update(dict.fromkeys(others, first))
    return {scan: find(name) for scan, name in units.items()}


def twins_of(scans: pd.DataFrame) -> list[list[str]]:
    """Scans that have the same voxels, each group sorted."""
    if "content" not in scans:
        return []
    groups = scans.dropna(subset="content").groupby("content")["scan"]
    return sorted(sorted(names) for _, names in groups if len(names) > 1)

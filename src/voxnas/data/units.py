"""Units of the splits (participants, sites, sessions or runs), which are never divided, by name."""

import pandas as pd

from voxnas.core.errors import UserError

WITHIN = ("session", "run", "block")  # the units of a within-participant study
# Columns with digests of images: scans that share a value are of one person.
CONTENTS = ("content", "anatomical_sha256")


def unit_names(scans: pd.DataFrame, unit: str) -> dict[str, str]:
    """Return the name of the unit of each scan.

    A run is ``sub-01_ses-a_task-rest_run-1``; the name ignores acquisition, space, echo and description, which
    distinguish images of one scan, and omits absent entities.

    Parameters
    ----------
    scans : DataFrame
        The index, with the columns ``scan``, ``participant``, and depending on the unit ``site``, ``session``,
        ``task`` and ``run``.
    unit : {"participant", "site", "session", "run", "block"}
        Unit. A block is named by the column ``scan`` of a table of blocks.

    Raises
    ------
    UserError
        If the unit is the site or the session, and a scan has none.
    """
    if unit in ("site", "session"):
        missing = scans[_column(scans, unit).isna()]
        if len(missing):
            raise UserError(
                f"splits.unit = {unit}, but {len(missing)} of {len(scans)} scans have no {unit}, such as "
                f"{missing['scan'].iloc[0]!r}",
                "fill the column site of participants.tsv" if unit == "site" else "set splits.unit: run or participant",
            )
    if unit == "block":
        return dict(zip(scans["scan"], scans["scan"], strict=True))
    names = scans[unit] if unit in ("participant", "site") else scans["participant"].astype(str)
    entities = {"session": {"ses": "session"}, "run": {"ses": "session", "task": "task", "run": "run"}}
    for key, column in entities.get(unit, {}).items():
        values = _column(scans, column)
        names = names + values.map(lambda v, key=key: f"_{key}-{v}", na_action="ignore").fillna("")
    return dict(zip(scans["scan"], names, strict=True))


def _column(scans: pd.DataFrame, name: str) -> pd.Series:
    """Return a column, or missing values if the table lacks it."""
    return scans[name] if name in scans else pd.Series(pd.NA, scans.index, dtype=object)


def identifying_contents(unit: str) -> tuple[str, ...]:
    """Return the columns of :data:`CONTENTS` that identify a unit: sessions and runs of a person share anatomy.

    Blocks of a run share all contents.
    """
    if unit == "block":
        return ()
    return CONTENTS[:1] if unit in WITHIN else CONTENTS


def join_twins(units: dict[str, str], scans: pd.DataFrame, unit: str) -> dict[str, str]:
    """Merge units that share an image, under the first of their names.

    Public data sets list persons under two identifiers: in ABIDE I, sub-0050279 and sub-0050286 have the same series.

    Parameters
    ----------
    units : dict
        From :func:`unit_names`.
    scans : DataFrame
        The index, optionally with the columns :data:`CONTENTS`.
    unit : str
        Kind of the units. Runs and sessions that share an anatomical image are not merged; sites that share a
        participant are.
    """
    head = {name: name for name in units.values()}

    def find(name: str) -> str:
        while head[name] != name:
            name = head[name]
        return name

    columns = (*identifying_contents(unit), *(["participant"] if unit == "site" else []))
    for column in set(columns) & set(scans):
        for _, twins in scans.dropna(subset=column).groupby(column)["scan"]:
            first, *others = sorted({find(units[scan]) for scan in twins})
            head.update(dict.fromkeys(others, first))
    return {scan: find(name) for scan, name in units.items()}


def twins_of(scans: pd.DataFrame) -> list[list[str]]:
    """Return the groups of scans with equal voxels, each sorted."""
    if "content" not in scans:
        return []
    groups = scans.dropna(subset="content").groupby("content")["scan"]
    return sorted(sorted(names) for _, names in groups if len(names) > 1)

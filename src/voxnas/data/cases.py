"""Participants and targets of the cases of a dataset.json (MSD, nnU-Net), whose names identify scans and not persons.

A table ``participants.tsv`` beside dataset.json names them, in one of two forms::

    participant_id  scan                 group     one row for each scan; targets may differ between the
    patient001      patient001_frame01   DCM       scans of a participant
    patient001      patient001_frame12   DCM

    participant_id  group                          one row for each participant; the participant of a scan
    patient001      DCM                            is the first group of the pattern data.participant, or else
                                                   the name of the scan

Without the table, the pattern alone names the participants. Without both they are unknown: every scan counts as a
participant, and the study does not claim that it separates participants.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from voxnas.core.settings import DataSettings
from voxnas.data.layout import Candidate
from voxnas.data.participants import Row, check_column, read_rows, site_of, target_of
from voxnas.io.tsv import read_cells

SCAN = "scan"  # column of participants.tsv with the name of the case
STEM = re.compile(r"\D*\d+|[^\W_]+")  # of a name after the beginning that all names share


def identify(
    root: Path, candidates: Sequence[Candidate], task: str | None, settings: DataSettings
) -> tuple[list[Candidate], bool, str]:
    """Assign the participants, sites and targets of cases.

    Parameters
    ----------
    root : path
        Folder of dataset.json.
    candidates : sequence of Candidate
        The cases.
    task : str or None
        Classification and regression need a target.
    settings : DataSettings
        Pattern of the participant, and column of the target.

    Returns
    -------
    candidates : list of Candidate
        A case without a row, a participant or a target has the reason as its problem.
    identified : bool
        Whether the participants are known.
    doubt : str
        If they are unknown: warning about names that look like several scans of a participant, or empty.

    Raises
    ------
    UserError
        If participants.tsv is needed and missing, is damaged, or lacks the column of the target.
    """
    path = root / "participants.tsv"
    rows, by_scan = _read_table(path)
    predicted = task in ("classification", "regression")
    if predicted:
        check_column(root, rows, settings.target)
    found = []
    for candidate in candidates:
        person, problem = candidate.scan, ""
        row = rows.get(candidate.scan)
        if by_scan:
            person = (row or {}).get("participant_id") or ""
            problem = "" if person else f"participants.tsv names no participant of scan {candidate.scan}"
        elif settings.participant:
            match = re.fullmatch(settings.participant, candidate.scan)
            person = (match and match[1]) or ""
            problem = "" if person else f"the name does not match data.participant = {settings.participant}"
            row = rows.get(person)
        target = None
        if predicted and not problem:
            target, problem = target_of(
                candidate.scan if by_scan else person, row, settings.target, task == "regression"
            )
        found.append(
            replace(
                candidate,
                participant=person or candidate.scan,
                site=site_of(row),
                target=target,
                problem=candidate.problem or problem,
            )
        )
    identified = bool(by_scan or settings.participant or all(c.scan in rows for c in candidates))
    return found, identified, "" if identified else shared_stems([c.scan for c in candidates])


def _read_table(path: Path) -> tuple[dict[str, Row], bool]:
    """Read participants.tsv by scan, or else by participant; return the rows, and whether they are by scan."""
    if not path.is_file():
        return {}, False
    by_scan = SCAN in read_cells(path)[0]
    return read_rows(path, SCAN if by_scan else "participant_id"), by_scan


def shared_stems(names: Sequence[str]) -> str:
    """Return a warning if names look like several scans of a participant, such as ``p01_frame01`` and ``p01_frame12``.

    The stem of a name ends after the first number that follows the beginning shared by all names.
    """
    low, high = min(names), max(names)  # whose common beginning is that of all names
    length = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    begin = low[:length].rstrip("0123456789")
    stems: dict[str, list[str]] = {}
    for name in names:
        match = STEM.match(name, len(begin))
        stems.setdefault(match[0] if match else name, []).append(name)
    shared = [group for group in stems.values() if len(group) > 1]
    if not shared:
        return ""
    return (
        f"{sum(map(len, shared))} of {len(names)} scans share the beginning of their name with another, such as "
        f"{' and '.join(shared[0][:2])}; if these are scans of one participant, the splits divide participants: name "
        "them in participants.tsv (columns participant_id and scan) or by data.participant"
    )

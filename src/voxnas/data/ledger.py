"""The ledger of the reads of a locked test split, common to all studies of a results folder with the same split."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from voxnas.core.canonical import canonical_json, digest
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.splits import Splits
from voxnas.io.records import read_record
from voxnas.io.tables import read_table


def ledger_file(paths: StudyPaths) -> Path:
    """Return the ledger of the test split of a study, ``results/ledger/<digest>.jsonl``.

    The digest covers the voxels (or series) of the test scans. A study with another name or other names of its scans
    therefore continues the ledger of the same split.
    """
    splits = read_record(paths.splits, Splits)
    table = read_table(paths.scans, {"scan": str, "content": str})
    content = dict(zip(table.scan, table.content, strict=True))
    runs = {member: splits.scan_of(member) for member in splits.test}  # blocks add their number
    return paths.ledger(digest(sorted(f"{content[run]}{member.removeprefix(run)}" for member, run in runs.items())))


def open_test(paths: StudyPaths, reader: str, key: str) -> list[str]:
    """Return the scans of the locked test split, and record the access in the ledger.

    This function is the only access to these scans. The line of the ledger is on disk before it returns.

    Parameters
    ----------
    paths : StudyPaths
        The study.
    reader : str
        The reading stage (``evaluate``).
    key : str
        Key of the tested network.

    Returns
    -------
    list of str
        Sorted scan identifiers.
    """
    scans, file = list(read_record(paths.splits, Splits).test), ledger_file(paths)
    line = {
        "study": paths.root.resolve().name,
        "reader": reader,
        "key": key,
        "count": len(scans),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    # One write in append mode: the lines of concurrent jobs do not interleave.
    handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(handle, (canonical_json(line) + "\n").encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    return scans


def read_ledger(paths: StudyPaths) -> list[dict[str, Any]]:
    """Return the reads of the test split of a study by all studies, in the order of the file.

    Raises
    ------
    UserError
        If a line is damaged.
    """
    file = ledger_file(paths)
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    found = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            found.append({name: row[name] for name in ("study", "reader", "key", "count", "time")})
        except (ValueError, TypeError, KeyError):
            raise UserError(
                f"{file}, line {number}: {line[:40]!r} is not a read of the test split",
                "restore the file from a backup; without it the number of reads is unknown",
            ) from None
    return found

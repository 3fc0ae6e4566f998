"""What the logs of a study's jobs tell: which jobs were begun and have not ended, and which ended with an error.

A job's log is named after it, and its output says that it is done. So a log without an output is of a job that runs,
that was killed, or that failed; then the error is the last thing in the log, which each attempt begins anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from voxnas.core.paths import StudyPaths
from voxnas.operate.reader import Reader

TAIL = 8192  # bytes of a log in which its error is looked for

# Which stage of the overview a job belongs to, by the first part of its log's path.
STAGES = {
    "phantom": "index", "index": "index", "split": "preprocess", "plan": "preprocess", "spatial": "preprocess",
    "preprocess": "preprocess", "calibrate": "search", "propose": "search", "step": "search", "summarize": "search",
    "discover": "search",
    "select": "search", "train": "train", "trainings": "train", "profile": "benchmark", "evaluate": "benchmark",
    "crossvalidate": "benchmark", "benchmark": "benchmark", "figures": "report",
    "package": "report", "report": "report",
}  # fmt: skip


class Job(NamedTuple):
    """A job without an output."""

    what: str
    """Such as ``preprocess 1``."""
    stage: str
    log: Path
    error: str
    """Empty where its log ends with none."""


class JobLogs:
    """The unfinished jobs of a study.

    Parameters
    ----------
    paths : StudyPaths
    reader : Reader
    """

    def __init__(self, paths: StudyPaths, reader: Reader) -> None:
        self._paths, self._reader = paths, reader
        self._errors: dict[Path, tuple[tuple[int, int], str]] = {}

    def unfinished(self, timed: bool) -> list[Job]:
        """Jobs with a log and no output; `timed` says whether the study is one of time series."""
        root = self._paths.root / "logs"
        found = []
        for log in self._walk(root):
            parts = log.relative_to(root).with_suffix("").parts
            output = output_of(self._paths, parts, timed)
            if output is not None and not output.exists():
                self._reader.see(log)
                found.append(Job(" ".join(parts), STAGES[parts[0]], log, self._error(log)))
        return found

    def _walk(self, folder: Path) -> list[Path]:
        found: list[Path] = []
        for name in self._reader.names(folder):
            path = folder / name
            found += [path] if name.endswith(".log") else self._walk(path)
        return found

    def _error(self, log: Path) -> str:
        try:
            status = log.stat()
            sign = (status.st_mtime_ns, status.st_size)
            known = self._errors.get(log)
            if known is None or known[0] != sign:
                with open(log, "rb") as file:
                    file.seek(max(0, status.st_size - TAIL))
                    known = self._errors[log] = (sign, error_of(file.read().decode(errors="replace")))
        except OSError:
            return ""
        return known[1]


def output_of(paths: StudyPaths, parts: tuple[str, ...], timed: bool) -> Path | None:
    """What the job of a log leaves behind; None for one that nobody waits for.

    Parameters
    ----------
    paths : StudyPaths
    parts : tuple of str
        The log's path below ``logs``, without its ending.
    timed : bool
        Whether the study is one of time series.
    """
    match parts:
        case ("phantom",):
            return paths.root / "data"
        case ("index",) | ("index", _):  # the shards' parts are temporary
            return paths.scans
        case ("split",):
            return paths.splits
        case ("plan",):
            return paths.plan
        case ("spatial", shard):
            return paths.preprocess / "spatial" / shard
        case ("preprocess", shard) if shard.isdecimal():
            return paths.runs(int(shard)) if timed else paths.shard(int(shard)).with_suffix(".json")
        case ("calibrate",):
            return paths.calibration
        case ("propose", search, step) if step.isdecimal():
            return paths.step(search, int(step)) / "proposal.json"
        case ("step", search, step) if step.isdecimal():
            return paths.step(search, int(step)) / "result.json"
        case ("discover", search):
            return paths.step(search, 0) / "result.json"
        case ("summarize", search):
            return paths.trials(search)
        case ("select",):
            return paths.finalists
        case ("train", key, seed):
            return paths.network(key) / seed / "result.json"
        case ("trainings",):
            return paths.root / "networks.tsv"
        case ("profile", key):
            return paths.network(key) / "profile.json"
        case ("evaluate", key):
            return paths.cases(key)
        case ("crossvalidate", key):
            return paths.fold_cases(key)
        case ("benchmark",):
            return paths.leaderboard
        case ("crossvalidate",):
            return paths.cross_validation
        case ("figures",):
            return paths.figures
        case ("package",):
            return paths.root / "model"
        case ("report",):
            return paths.root / "report.html"
    return None


def error_of(text: str) -> str:
    r"""The error with which a job's log ends, as one line; empty where it ends with none.

    Examples
    --------
    >>> error_of("training on a processor\nvoxnas train: out of memory\n")
    'out of memory'
    >>> error_of("Traceback (most recent call last):\n  File ...\nValueError: no\n")
    'ValueError: no'
    >>> error_of("interrupted, state saved at 8 samples\n")
    ''
    """
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    said = lines[-1].partition(": ")[2] if lines[-1].startswith("voxnas ") else ""
    # The parent of a training only knows that its worker ended; the worker's traceback says why.
    if said and not said.startswith("the training process ended"):
        return said
    begins = [i for i, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    errors = [line for line in lines[begins[-1] + 1 :] if not line.startswith(" ")] if begins else []
    return errors[0] if errors else said

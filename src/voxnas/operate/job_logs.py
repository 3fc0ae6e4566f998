"""The jobs of a study as their logs show them: unfinished jobs, and the errors of failed ones.

The log of a job bears the job's name. A log without the output of its job belongs to a job that runs, was killed or
failed. The error of a failed job is the last entry of its log, since each attempt overwrites the log.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from voxnas.core.paths import StudyPaths
from voxnas.operate.reader import Reader

TAIL = 8192  # bytes at the end of a log that are searched for an error

# Stage and output of a job, by the first part of its log's path and the number of further parts. The last argument of
# an output is the path's last part. Logs of other jobs are ignored.
JOBS: dict[tuple[str, int], tuple[str, Callable[..., Path]]] = {
    ("phantom", 0): ("index", lambda paths: paths.root / "data"),
    ("index", 0): ("index", lambda paths: paths.scans),
    ("index", 1): ("index", lambda paths, shard: paths.scans),  # the table of a shard is temporary
    ("split", 0): ("preprocess", lambda paths: paths.splits),
    ("plan", 0): ("preprocess", lambda paths: paths.plan),
    ("spatial", 1): ("preprocess", lambda paths, shard: paths.preprocess / "spatial" / shard),
    ("preprocess", 1): ("preprocess", lambda paths, shard: _preprocessed(paths, shard)),
    ("calibrate", 0): ("search", lambda paths: paths.calibration),
    ("propose", 2): ("search", lambda paths, search, step: paths.step(search, step) / "proposal.json"),
    ("step", 2): ("search", lambda paths, search, step: paths.step(search, step) / "result.json"),
    ("discover", 1): ("search", lambda paths, search: paths.step(search, 0) / "result.json"),
    ("summarize", 1): ("search", lambda paths, search: paths.trials(search)),
    ("select", 0): ("search", lambda paths: paths.finalists),
    ("train", 2): ("train", lambda paths, key, seed: paths.network(key) / seed / "result.json"),
    ("derive", 0): ("train", lambda paths: paths.derived),
    ("prune", 0): ("train", lambda paths: paths.pruned),
    ("trainings", 0): ("train", lambda paths: paths.root / "networks.tsv"),
    ("profile", 1): ("benchmark", lambda paths, key: paths.network(key) / "profile.json"),
    ("evaluate", 1): ("benchmark", lambda paths, key: paths.cases(key)),
    ("crossvalidate", 1): ("benchmark", lambda paths, key: paths.fold_cases(key)),
    ("crossvalidate", 0): ("benchmark", lambda paths: paths.cross_validation),
    ("benchmark", 0): ("benchmark", lambda paths: paths.leaderboard),
    ("figures", 0): ("report", lambda paths: paths.figures),
    ("package", 0): ("report", lambda paths: paths.root / "model"),
    ("report", 0): ("report", lambda paths: paths.root / "report.html"),
}


def _preprocessed(paths: StudyPaths, shard: str) -> Path:
    """Record of a shard of scans, or folder of a shard of runs."""
    shards = paths.preprocess / "shards"
    return shards / shard if (shards / shard).exists() else shards / f"{shard}.json"


class Job(NamedTuple):
    """A job without an output.

    Attributes
    ----------
    name : str
        Such as ``preprocess 1``.
    stage : str
    log : Path
    error : str
        Error at the end of the log; empty without an error.
    """

    name: str
    stage: str
    log: Path
    error: str


class JobLogs:
    """The unfinished jobs of a study.

    Parameters
    ----------
    paths : StudyPaths
    reader : Reader
    """

    def __init__(self, paths: StudyPaths, reader: Reader) -> None:
        self._paths, self._reader = paths, reader

    def unfinished(self) -> list[Job]:
        """Return the jobs that have a log and no output."""
        root = self._paths.root / "logs"
        found = []
        for log in self._walk(root):
            name, *wildcards = log.relative_to(root).with_suffix("").parts
            stage, output = JOBS.get((name, len(wildcards)), ("", None))
            if output is not None and not output(self._paths, *wildcards).exists():
                error = self._reader.parsed(log, _error_of_file) or ""
                found.append(Job(" ".join([name, *wildcards]), stage, log, error))
        return found

    def _walk(self, folder: Path) -> list[Path]:
        found: list[Path] = []
        for name in self._reader.names(folder):
            path = folder / name
            found += [path] if name.endswith(".log") else self._walk(path)
        return found


def _error_of_file(log: Path) -> str:
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        return error_of(file.read().decode(errors="replace"))


def error_of(text: str) -> str:
    r"""Return the error at the end of a job's log as one line; empty without an error.

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
    message = lines[-1].partition(": ")[2] if lines and lines[-1].startswith("voxnas ") else ""
    # The parent of a training knows only that its worker ended; the cause is in the worker's traceback.
    if message and not message.startswith("the training process ended"):
        return message
    tracebacks = [i for i, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    errors = [line for line in lines[tracebacks[-1] + 1 :] if not line.startswith(" ")] if tracebacks else []
    return errors[0] if errors else message

"""The progress of a study as few lines, for an output that is no terminal."""

import time

from voxnas.operate.snapshot import Failure, Snapshot
from voxnas.operate.terminal import best_score, time_left

PARTS = 10  # lines for the course of the trainings


class Milestones:
    """Lines about what has changed between two looks at a study: stages, tenths of the trainings, failures.

    Parameters
    ----------
    began : float
        Start of the run, in seconds since the epoch; jobs that failed before it are not stated.
    """

    def __init__(self, began: float) -> None:
        self._began = began
        self._begun = False
        self._open: set[str] = set()  # stages whose end is to be told
        self._told: set[str] = set()
        self._tenths = 0
        self._failed: set[tuple[str, str]] = set()

    def lines(self, snapshot: Snapshot) -> list[str]:
        """Return the lines since the last call; the first call states what an earlier run has completed."""
        clock = time.strftime("%H:%M:%S")
        done = {stage.name: stage.note for stage in snapshot.stages if stage.state == "done"}
        # A stage that was complete before is told if a change of the settings runs it again.
        self._open |= {stage.name for stage in snapshot.stages} - done.keys() - self._told
        tenths = int(PARTS * snapshot.cost.share)
        trials = {(f"trial {f.name} failed", f.reason) for f in snapshot.trials_failed}
        if not self._begun:
            self._begun, self._tenths, self._failed = True, tenths, trials
            return [f"{clock}  complete from an earlier run: {', '.join(done)}"] if done else []
        found = []
        for name in [name for name in done if name in self._open]:
            best = f", best {_best(snapshot)}" if name == "search" and snapshot.best else ""
            found.append(f"{name}: {done[name]}{best}")
        if self._tenths < tenths < PARTS:
            parts = [f"{snapshot.cost.share:.0%} of the training cost", time_left(snapshot)]
            parts += [f"best {_best(snapshot)}"] if snapshot.best else []
            found.append(", ".join(part for part in parts if part))
        jobs = {(f"job {f.name} failed", f.reason) for f in failures_since(snapshot, self._began)}
        found += [f"{name}: {reason}" for name, reason in sorted((trials | jobs) - self._failed)]
        self._told |= self._open & done.keys()
        self._open -= done.keys()
        # The share falls back by more than a fluctuation if a change of the settings adds trainings.
        self._tenths = tenths if tenths < self._tenths - 1 else max(tenths, self._tenths)
        self._failed |= trials | jobs
        return [f"{clock}  {text}" for text in found]


def failures_since(snapshot: Snapshot, began: float) -> list[Failure]:
    """Failed jobs whose log was written since a time, in seconds since the epoch."""
    return [f for f in snapshot.jobs_failed if f.log is not None and f.log.stat().st_mtime >= began]


def _best(snapshot: Snapshot) -> str:
    assert snapshot.best is not None
    return f"{best_score(snapshot.best, snapshot.measure)} ({snapshot.best.trial})"

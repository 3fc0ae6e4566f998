"""The progress of a running training, and its curves for TensorBoard. Imports no torch.

Nothing of it is read back by a training, and none of it belongs to a result.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from voxnas.core.paths import StudyPaths
from voxnas.core.training import Training
from voxnas.core.trial import Network, Proposal, Result
from voxnas.io.records import read_json, write_json
from voxnas.io.tensorboard import FAILURE, PREFIX, SUCCESS, EventFile
from voxnas.training.store import Entry

if TYPE_CHECKING:
    from voxnas.training.state import Progress

TELL_SECONDS = 5.0
POINTS = 200  # of a curve of the training loss


class Observer:
    """Told after each step of a training; writes ``progress.json`` every few seconds, and event files if wanted.

    Parameters
    ----------
    entry : Entry
        The training in the store.
    job : Training
        The training.
    events : path or None
        Folder of the run's event files.
    """

    def __init__(self, entry: Entry, job: Training, events: Path | None) -> None:
        self._entry, self._goal = entry, job.samples
        self._folder = events
        self._events: EventFile | None = None
        self._began: tuple[int, float] | None = None
        self._told = -math.inf
        self._rows = 0
        self._marked = 0
        self._losses: list[float] = []

    def __call__(self, progress: Progress, loss: float, rate: float) -> None:
        """Take note of one step: the loss of its batch, and its learning rate."""
        now = time.monotonic()
        if self._began is None:
            self._began = (progress.samples, now)
            self._rows = len(progress.curve) - bool(
                progress.curve and progress.curve[-1]["samples"] == progress.samples
            )
            if self._folder is not None:
                self._events = EventFile(self._folder)
                self._events.restart(progress.samples)
        if self._events is not None:
            self._losses.append(loss)
            mark = progress.samples * POINTS // self._goal
            if mark > self._marked:
                mean = sum(self._losses) / len(self._losses)
                self._events.scalars(progress.samples, {"training/loss": mean, "training/learning_rate": rate})
                self._marked, self._losses = mark, []
            for row in progress.curve[self._rows :]:
                self._events.scalars(int(row["samples"]), validation(row))
        validated = len(progress.curve) > self._rows
        self._rows = len(progress.curve)
        if validated or now - self._told > TELL_SECONDS:
            self._tell(progress, loss, now)
            self._told = now
            if self._events is not None:
                self._events.flush()

    def _tell(self, progress: Progress, loss: float, now: float) -> None:
        assert self._began is not None
        samples, seconds = progress.samples - self._began[0], now - self._began[1]
        record = {
            "samples": progress.samples,
            "loss": loss if math.isfinite(loss) else None,
            "score": progress.curve[-1]["val_score"] if progress.curve else None,
            "rate": round(samples / seconds, 4) if samples and seconds else None,
        }
        write_json(self._entry.progress, record)

    def close(self) -> None:
        """The training ended or was interrupted."""
        if self._events is not None:
            self._events.close()


def validation(row: dict[str, float]) -> dict[str, float]:
    """Tags of a row of ``curve.tsv`` that a validation wrote."""
    return {f"validation/{name.removeprefix('val_')}": v for name, v in row.items() if name.startswith("val_")}


def with_display_name(paths: StudyPaths, network: Network) -> Network:
    """A network with the name and source that the selection gave it; its own record is known by its key alone."""
    if not paths.finalists.exists():
        return network
    found = next((n for n in read_json(paths.finalists)["networks"] if n["key"] == network.key), None)
    return network if found is None else Network.model_validate(found)


def events_folder(paths: StudyPaths, what: Proposal | Network, seed: int) -> Path:
    """Folder of the event files of one training: of what is trained, and by which seed. TensorBoard shows its name."""
    if isinstance(what, Proposal):
        return paths.root / "tensorboard" / what.search / str(what.step)
    return paths.root / "tensorboard" / what.name / f"seed-{seed}"


def end_events(folder: Path, what: Proposal | Network, result: Result, entry: Entry | None, reused: bool) -> None:
    """Write what a training was of and how it ended; its curve too if it was reused from the store."""
    if reused and list(folder.glob(f"{PREFIX}.*")):
        return
    file = EventFile(folder)
    file.begin(hyperparameters(what))
    if reused and entry is not None:
        names, *rows = (line.split("\t") for line in entry.curve.read_text().splitlines())
        for values in rows:
            row = {name: float(value) for name, value in zip(names, values, strict=True) if value != "n/a"}
            file.scalars(int(row["samples"]), _curve(row))
    final = {"parameters": float(result.parameters), "multiply_adds": float(result.macs)}
    if result.valid_score is not None:
        final["score"] = result.valid_score
    if result.cpu_seconds is not None:
        final["cpu_seconds"] = result.cpu_seconds
    file.scalars(result.samples, {f"final/{name}": value for name, value in final.items()})
    file.end(FAILURE if result.state == "FAILED" else SUCCESS)
    file.close()


def _curve(row: dict[str, float]) -> dict[str, float]:
    training = {f"training/{new}": row[old] for old, new in _TRAINING.items() if old in row}
    return training | validation(row)


_TRAINING = {"train_loss": "loss", "learning_rate": "learning_rate"}


def hyperparameters(what: Proposal | Network) -> dict[str, str | bool | float]:
    """Values for the tab HParams of what is trained: the point of the search space, or else the recipe."""
    if isinstance(what, Proposal):
        origin: dict[str, object] = {"search": what.search, "rung": what.rung}
        chosen = what.config
    else:
        origin, chosen = {"search": what.source, "network": what.name}, {}
    if not chosen and what.recipe is not None:
        chosen = what.recipe.plain()
    values = {**origin, **chosen, "samples": what.samples}
    return {name: value if isinstance(value, (str, bool, int, float)) else str(value) for name, value in values.items()}

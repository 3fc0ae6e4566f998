"""The progress of a running training, and its curves for TensorBoard. Imports no torch.

No training reads these files, and they do not belong to its result.
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
POINTS = 200  # points of a curve of the training loss
TRAINING_TAGS = {"train_loss": "training/loss", "learning_rate": "training/learning_rate"}


class Observer:
    """Observer of the steps of a training, which writes ``progress.json`` every few seconds and optional event files.

    Parameters
    ----------
    entry : Entry
        The training in the store.
    job : Training
        The training.
    events : path or None
        Folder of the run's event files; None for no event files.
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
        """Record one step: the progress, the `loss` of its batch, and its learning `rate`."""
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
            "score": progress.curve[-1].get("val_score") if progress.curve else None,
            "rate": round(samples / seconds, 4) if samples and seconds else None,
        }
        write_json(self._entry.progress, record)

    def close(self) -> None:
        """Close the event files at the end of the training or at its interruption."""
        if self._events is not None:
            self._events.close()


def validation(row: dict[str, float]) -> dict[str, float]:
    """Validation scores of a `row` of ``curve.tsv``, by their TensorBoard tags."""
    return {f"validation/{name.removeprefix('val_')}": v for name, v in row.items() if name.startswith("val_")}


def with_display_name(paths: StudyPaths, network: Network) -> Network:
    """Return a network with the name and source from its selection; its own record depends on its key alone."""
    known = [n for file in (paths.finalists, paths.derived) if file.exists() for n in read_json(file)["networks"]]
    found = next((n for n in known if n["key"] == network.key), None)
    return network if found is None else Network.model_validate(found)


def events_folder(paths: StudyPaths, trained: Proposal | Network, seed: int) -> Path:
    """Folder of the event files of training number `seed` of the `trained` proposal or network."""
    if isinstance(trained, Proposal):
        return paths.root / "tensorboard" / trained.search / str(trained.step)
    return paths.root / "tensorboard" / trained.name / f"seed-{seed}"


def end_events(folder: Path, trained: Proposal | Network, result: Result, entry: Entry | None, reused: bool) -> None:
    """Write hyperparameters and result of the `trained` proposal or network to `folder`, and its curve if `reused`."""
    if reused and list(folder.glob(f"{PREFIX}.*")):
        return
    file = EventFile(folder)
    file.begin(hyperparameters(trained))
    if reused and entry is not None:
        names, *rows = (line.split("\t") for line in entry.curve.read_text().splitlines())
        for values in rows:
            row = {name: float(value) for name, value in zip(names, values, strict=True) if value != "n/a"}
            training = {tag: row[name] for name, tag in TRAINING_TAGS.items() if name in row}
            file.scalars(int(row["samples"]), training | validation(row))
    final = {
        "final/parameters": float(result.parameters),
        "final/multiply_adds": float(result.macs),
        "final/score": result.valid_score,
        "final/cpu_seconds": result.cpu_seconds,
    }
    file.scalars(result.samples, {tag: value for tag, value in final.items() if value is not None})
    file.end(FAILURE if result.state == "FAILED" else SUCCESS)
    file.close()


def hyperparameters(trained: Proposal | Network) -> dict[str, str | bool | float]:
    """Values of the `trained` proposal or network for the tab HParams: point of the search space, or recipe."""
    if isinstance(trained, Proposal):
        origin: dict[str, object] = {"search": trained.search, "rung": trained.rung}
        chosen = trained.config
    else:
        origin, chosen = {"search": trained.source, "network": trained.name}, {}
    if not chosen and trained.recipe is not None:
        chosen = trained.recipe.plain()
    values = {**origin, **chosen, "samples": trained.samples}
    return {name: value if isinstance(value, (str, bool, int, float)) else str(value) for name, value in values.items()}

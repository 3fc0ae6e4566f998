"""The store of trainings, by the digest of everything that determines them.

An entry ``store/<digest>/`` contains the training's record, its lease, its run options and the resumable state, and
after the training ``curve.tsv``, ``weights.safetensors``, ``run.json`` and ``outcome.json`` (written last). A lost
result therefore costs no training. Imports no torch, so that a stored result is returned as soon as Python has started.
"""

from pathlib import Path
from typing import Any

from voxnas.core.canonical import digest
from voxnas.core.spec import TrainSpec
from voxnas.core.training import TRAINING, Training
from voxnas.io.records import check_record, file_digest, read_json, write_json
from voxnas.training.lease import Lease


def store_digest(job: Training, spec: TrainSpec, data: str) -> str:
    """Digest by which the store identifies a training.

    Parameters
    ----------
    job : Training
    spec : TrainSpec
        The root seed of the study is excluded, because the training has a seed of its own.
    data : str
        Digest of the data (:func:`voxnas.data.digest.data_digest`).
    """
    science = spec.model_dump(mode="json", exclude={"seed"})
    return digest({"job": job.plain(), "spec": science, "data": data}, 16)


class Entry:
    """One training in the store.

    Parameters
    ----------
    folder : path
        ``store/<digest>``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self.lease = Lease(folder)
        self.job = folder / "job.json"
        self.launch = folder / "launch.json"
        self.outcome = folder / "outcome.json"
        self.curve = folder / "curve.tsv"
        self.weights = folder / "weights.safetensors"
        self.run = folder / "run.json"
        self.stop = folder / "stop"
        self.ended = folder / "ended.json"
        self.heartbeat = folder / "heartbeat"
        self.progress = folder / "progress.json"

    def training(self) -> Training:
        """Read the record of the training."""
        return check_record(self.job, read_json(self.job), TRAINING.validate_python)

    def finished(self) -> dict[str, Any] | None:
        """Read the outcome of a finished training; None for an unfinished training or damaged weights."""
        if not self.outcome.exists():
            return None
        outcome = read_json(self.outcome)
        wanted = outcome["weights_sha256"]
        if wanted and (not self.weights.exists() or file_digest(self.weights) != wanted):
            return None
        return outcome

    def finish(self, outcome: dict[str, Any]) -> None:
        """Record the `outcome`, which completes the training."""
        weights = file_digest(self.weights) if self.weights.exists() else ""
        write_json(self.outcome, {**outcome, "weights_sha256": weights})

    def settled(self) -> bool:
        """Whether the parent of a finished training has written its run record and released its lease."""
        return self.run.exists() and not self.lease.path.exists()

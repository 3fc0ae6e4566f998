"""The state of a running training on disk, from which the training can resume exactly.

A state consists of a safetensors file and a record with the name and the digest of the file. The record is renamed into
place last, so that it always describes a complete state.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from voxnas.io.records import file_digest, read_json, write_json
from voxnas.io.weights import load_weights, save_weights

RECORD = "state.json"
TENSORS = "state-*.safetensors"


@dataclass
class Progress:
    """Progress of a training, without its tensors.

    Parameters
    ----------
    samples : int
        Samples seen.
    loss_sum : float
        Sum of the losses of the `loss_count` samples since the last validation.
    best : float or None
        Best validation score since the last restart; `stale` validations without improvement followed.
    curve : list of dict
        Rows of curve.tsv, one for each validation.
    rung : int
        Number of completed restarts of the schedule.
    scaler : dict
        State of the loss scaling; empty without loss scaling.
    """

    samples: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    best: float | None = None
    stale: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    rung: int = 0
    scaler: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SavedState:
    """A state that was read from disk.

    Parameters
    ----------
    progress : Progress
    tensors : dict of str to Tensor
        By the names ``<network>/<name>`` and ``<optimizer>/<index>/<name>``, on the CPU.
    """

    progress: Progress
    tensors: dict[str, Tensor]

    def load(self, networks: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]) -> None:
        """Load the tensors into the `networks` and the `optimizers`."""
        for kind, network in networks.items():
            start = f"{kind}/"
            network.load_state_dict({n.removeprefix(start): t for n, t in self.tensors.items() if n.startswith(start)})
        for kind, optimizer in optimizers.items():
            values: dict[int, dict[str, Tensor]] = {}
            for name, tensor in self.tensors.items():
                if name.startswith(f"{kind}/"):
                    _, index, key = name.split("/")
                    values.setdefault(int(index), {})[key] = tensor
            optimizer.load_state_dict({"state": values, "param_groups": optimizer.state_dict()["param_groups"]})


class StateRefused(Exception):
    """Raised for a state that must not be resumed, because it is damaged or belongs to another training."""


def save_state(
    folder: Path,
    owner: str,
    networks: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    progress: Progress,
) -> None:
    """Write the state of the training with the store digest `owner` into `folder`, in place of the previous state."""
    tensors = {
        f"{kind}/{n}": tensor for kind, network in networks.items() for n, tensor in network.state_dict().items()
    }
    for kind, optimizer in optimizers.items():
        for index, values in optimizer.state_dict()["state"].items():
            for name, value in values.items():
                if value is not None:
                    tensors[f"{kind}/{index}/{name}"] = torch.as_tensor(value)
    file = folder / f"state-{progress.samples}.safetensors"
    save_weights(file, tensors)
    record = {"owner": owner, "file": file.name, "sha256": file_digest(file), "progress": asdict(progress)}
    write_json(folder / RECORD, record)
    for old in set(folder.glob(TENSORS)) - {file}:
        old.unlink(missing_ok=True)


def read_state(folder: Path, owner: str) -> SavedState | None:
    """Read the state of `owner` from `folder`.

    Returns
    -------
    SavedState or None
        None without a saved state.

    Raises
    ------
    StateRefused
        If the state is damaged or belongs to another training.
    """
    if not (folder / RECORD).exists():
        return None
    record: dict[str, Any] = read_json(folder / RECORD)
    file = folder / record["file"]
    if record["owner"] != owner:
        raise StateRefused(f"{folder / RECORD} belongs to {record['owner']}, not to {owner}")
    if not file.exists():
        raise StateRefused(f"{file} is missing")
    if file_digest(file) != record["sha256"]:
        raise StateRefused(f"the digest of {file} is not the recorded one")
    tensors, _ = load_weights(file)
    return SavedState(Progress(**record["progress"]), tensors)


def delete_state(folder: Path) -> None:
    """Remove the state in `folder`, the record first."""
    (folder / RECORD).unlink(missing_ok=True)
    for file in folder.glob(TENSORS):
        file.unlink(missing_ok=True)

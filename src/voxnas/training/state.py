"""The state of a running training on disk, so that it can go on exactly where it was.

A state is one safetensors file and a record beside it with the file's digest; the record is
renamed into place last and names its file, so that it always describes a complete state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from voxnas.io.records import file_digest, read_json, write_json
from voxnas.io.weights import load_weights, save_weights

RECORD = "state.json"


@dataclass
class Progress:
    """How far a training is, apart from its tensors.

    Parameters
    ----------
    samples : int
        Samples seen.
    loss_sum : float
        Sum of the losses of the samples since the last validation, which are `loss_count`.
    best : float or None
        Best validation score since the last restart; `stale` validations followed without a better one.
    curve : list of dict
        Rows of curve.tsv, one a validation.
    rung : int
        Restarts of the schedule that lie behind.
    scaler : dict
        State of the loss scaling; empty without one.
    """

    samples: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    best: float | None = None
    stale: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    rung: int = 0
    scaler: dict[str, float] = field(default_factory=dict)


class StateRefused(Exception):
    """A state that must not be continued: damaged, or of another training."""


def save_state(
    folder: Path, owner: str, network: nn.Module, optimizers: Mapping[str, torch.optim.Optimizer], progress: Progress
) -> None:
    """Write the state of the training that the store calls `owner`; replaces the last one."""
    tensors = {f"network/{name}": tensor for name, tensor in network.state_dict().items()}
    for kind, optimizer in optimizers.items():
        for index, values in optimizer.state_dict()["state"].items():
            for name, value in values.items():
                if value is not None:
                    tensors[f"{kind}/{index}/{name}"] = torch.as_tensor(value)
    file = folder / f"state-{progress.samples}.safetensors"
    save_weights(file, tensors)
    record = {"owner": owner, "file": file.name, "sha256": file_digest(file), "progress": asdict(progress)}
    write_json(folder / RECORD, record)
    for old in folder.glob("state-*.safetensors"):
        if old != file:
            old.unlink(missing_ok=True)


def load_state(
    folder: Path, owner: str, network: nn.Module, optimizers: Mapping[str, torch.optim.Optimizer]
) -> Progress | None:
    """Put the state that `owner` has saved into the network and the optimizers.

    Returns
    -------
    Progress or None
        None if there is no state.

    Raises
    ------
    StateRefused
        If the state is damaged or belongs to another training. Nothing is loaded then.
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
    network.load_state_dict({n.removeprefix("network/"): t for n, t in tensors.items() if n.startswith("network/")})
    for kind, optimizer in optimizers.items():
        values: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith(f"{kind}/"):
                _, index, key = name.split("/")
                values.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({"state": values, "param_groups": optimizer.state_dict()["param_groups"]})
    return Progress(**record["progress"])


def delete_state(folder: Path) -> None:
    """Remove the state, the record first."""
    (folder / RECORD).unlink(missing_ok=True)
    for file in folder.glob("state-*.safetensors"):
        file.unlink(missing_ok=True)

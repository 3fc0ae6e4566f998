"""Coding of the target of a scan, a text in a table, as the tensor of a loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from voxnas.core.errors import UserError
from voxnas.data.dataset import StudyData


@dataclass(frozen=True)
class Targets:
    """Coding of the targets of one training.

    Parameters
    ----------
    task : str
        ``segmentation``, ``classification`` or ``regression``.
    classes : tuple of str
        Names of the classes, in the order of the network's outputs (classification).
    labels : tuple of int
        Values in the label maps, ascending, in the order of the network's outputs (segmentation).
    mean, sd : float
        Mean and standard deviation of the training values (regression); networks predict ``(value - mean) / sd``.
    """

    task: str
    classes: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()
    mean: float = 0.0
    sd: float = 1.0

    @classmethod
    def of(cls, data: StudyData, scans: Sequence[str]) -> Targets:
        """Determine the coding from the training `scans`."""
        plan, task = data.plan, data.plan.task
        if task == "classification":
            return cls(task, plan.classes)
        if task == "regression":
            values = [_number(data.target(scan), scan) for scan in scans]
            mean = math.fsum(values) / len(values)
            sd = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))
            return cls(task, mean=mean, sd=sd or 1.0)
        return cls(task, labels=tuple(plan.label_values))

    def metadata(self) -> dict[str, str]:
        """Parameters of the coding for prediction, saved with the weights."""
        return {"target_mean": repr(self.mean), "target_sd": repr(self.sd)} if self.task == "regression" else {}

    def encode(self, target: str | None) -> Tensor:
        """Encode a `target`: the index of a class, int64 (), or a standardised value, float32 ().

        Raises
        ------
        UserError
            If the target is neither a known class nor a number.
        """
        if self.task == "classification":
            if target not in self.classes:
                raise UserError(f"target {target!r} is not a known class", f"known: {', '.join(self.classes)}")
            return torch.tensor(self.classes.index(target))
        return torch.tensor((_number(target, "a scan") - self.mean) / self.sd, dtype=torch.float32)


def _number(target: str | None, scan: str) -> float:
    try:
        value = float(target) if target is not None else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"target {target!r} of {scan} is not a number", "regression needs a numeric column")
    return value

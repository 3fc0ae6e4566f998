"""Muon: momentum whose matrices are made orthogonal before each step (Jordan et al. 2024).

``torch.optim.Muon`` takes matrices alone, and a network also has vectors and ends; this optimizer
has both kinds of groups, so that it saves, loads and is distributed as one. What it
brings on a study is measured by ``benchmarks/recipes.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan's quintic: singular values go to about 1, not exactly
RMS = 0.2  # of an update's entries, as AdamW's have (Liu et al. 2025, Muon is scalable, section 2.2)


def orthogonalize(matrix: Tensor) -> Tensor:
    """The nearest matrix with all singular values near 1, by Newton-Schulz iterations.

    Parameters
    ----------
    matrix : Tensor, (M, N)

    Returns
    -------
    Tensor, (M, N)
        Of the same type.
    """
    a, b, c = COEFFICIENTS
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / x.norm().clamp_min(1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


class Muon(torch.optim.AdamW):
    """Groups with ``orthogonal: True`` have Muon's step, the others AdamW's.

    A convolution's weight counts as the matrix of its output channels by all the rest. Weight decay is
    decoupled in both, and the learning rate means the same size of step in both.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient."""
        everything = self.param_groups
        for group in everything:
            if group.get("orthogonal"):
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._muon(parameter, group["lr"], group["weight_decay"])
        self.param_groups = [group for group in everything if not group.get("orthogonal")]
        try:
            return super().step(closure)
        finally:
            self.param_groups = everything

    def _muon(self, parameter: Tensor, rate: float, decay: float) -> None:
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if "momentum" not in state:
            state["step"] = torch.zeros(())  # AdamW's loading asks every state for it
            state["momentum"] = torch.zeros_like(parameter)
        state["step"] += 1
        momentum = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        ahead = gradient.lerp(momentum, MOMENTUM).flatten(1)
        update = orthogonalize(ahead) * (RMS * max(ahead.shape) ** 0.5)
        parameter.mul_(1 - rate * decay).add_(update.view_as(parameter), alpha=-rate)

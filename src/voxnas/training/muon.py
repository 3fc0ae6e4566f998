"""Muon: momentum whose matrices are orthogonalised before each step (Jordan et al. 2024).

``torch.optim.Muon`` accepts only matrices, whereas a network also has vectors and ends. This optimizer has groups of
both kinds, so that it is saved, loaded and distributed as one. ``benchmarks/recipes.py`` measures its effect.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan's quintic: singular values converge to about 1
RMS = 0.2  # root mean square of an update, as with AdamW (Liu et al. 2025, Muon is scalable, section 2.2)


def orthogonalize(matrix: Tensor) -> Tensor:
    """Approximate the nearest orthogonal `matrix` by Newton-Schulz iterations.

    Parameters
    ----------
    matrix : Tensor, (M, N)

    Returns
    -------
    Tensor, (M, N)
        With singular values near 1, of the same type.
    """
    a, b, c = COEFFICIENTS
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / x.norm().clamp_min(1e-7)
    # Iterations on the small Gram matrix, with whose polynomials it commutes; x is multiplied once.
    gram, product, one = x @ x.T, None, torch.eye(len(x), dtype=x.dtype, device=x.device)
    for _ in range(ITERATIONS):
        factor = torch.addmm(a * one + b * gram, gram, gram, alpha=c)
        product = factor if product is None else factor @ product
        gram = factor @ gram @ factor
    x = product @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


class Muon(torch.optim.AdamW):
    """Optimizer with Muon's step for groups with ``orthogonal: True``, and AdamW's step for the others.

    The weight of a convolution is a matrix of its output channels by all other axes. In both kinds of groups weight
    decay is decoupled, and the learning rate means the same size of step.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters with a gradient; return the value of the `closure`, if any."""
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
            state["step"] = torch.zeros(())  # required by AdamW when it loads a state
            state["momentum"] = torch.zeros_like(parameter)
        state["step"] += 1
        momentum = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        ahead = gradient.lerp(momentum, MOMENTUM).flatten(1)
        update = orthogonalize(ahead) * (RMS * max(ahead.shape) ** 0.5)
        parameter.mul_(1 - rate * decay).add_(update.view_as(parameter), alpha=-rate)

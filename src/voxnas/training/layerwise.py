"""Shared parts of the optimizers for large batches, whose steps are proportional to the norm of a layer's weights."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def layer_rate(parameter: Tensor, direction: Tensor, rate: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Learning rate of a layer.

    Parameters
    ----------
    parameter, direction : Tensor, (any shape)
        Weights of the layer and the direction of their step.
    rate : callable
        Rate as a function of the norms of the weights and of the direction.

    Returns
    -------
    Tensor, ()
        1 for a vector, and if either norm is 0.
    """
    one = torch.ones((), device=parameter.device)
    if parameter.ndim <= 1:
        return one
    weights, length = parameter.norm(), direction.norm()
    return torch.where((weights > 0) & (length > 0), rate(weights, length), one)


class Layerwise(torch.optim.Optimizer):
    """Base of optimizers that update one layer after another."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters with a gradient; return the value of the `closure`, if any."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    @abstractmethod
    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        """Change one parameter in place."""

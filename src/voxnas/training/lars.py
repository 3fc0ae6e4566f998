"""LARS: the step of each layer is proportional to the norm of its weights (You, Gitman and Ginsburg 2017).

The paper is *Large Batch Training of Convolutional Networks* (arXiv:1708.03888), algorithm 1.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from voxnas.training.layerwise import Layerwise, layer_rate


class LARS(Layerwise):
    """Momentum SGD with a separate learning rate for each layer.

    With weights `w`, gradient `g`, decay `b` and momentum `m` a step is ``v = m v + lr l (g + b w)``, ``w = w - v``,
    where the layer's rate is ``l = trust |w| / (|g| + b |w|)``. Vectors (biases, scales of norms) have ``l = 1``,
    as in later large-batch trainings, and so do layers whose weights or gradient are 0.

    Parameters
    ----------
    params : iterable
        Parameters or groups of them.
    lr : float
        Learning rate.
    momentum, weight_decay : float
        As in the formula.
    trust : float
        The paper's eta, 0.001 there. With 1 the learning rate is the share of their norm by which the weights
        initially move, a magnitude as in other optimizers.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust: float = 1e-3,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust})

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        decay, state = group["weight_decay"], self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        rate = layer_rate(parameter, gradient, lambda w, g: group["trust"] * w / (g + decay * w))
        velocity = state["momentum"].mul_(group["momentum"])
        velocity.add_((gradient + decay * parameter) * (group["lr"] * rate))
        parameter.sub_(velocity)

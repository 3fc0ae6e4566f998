"""LAMB: Adam with steps proportional to the norm of the weights of each layer (You et al. 2019).

The paper is *Large Batch Optimization for Deep Learning: Training BERT in 76 minutes* (arXiv:1904.00962), algorithm 2,
with phi the identity.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from voxnas.training.layerwise import Layerwise, layer_rate


class LAMB(Layerwise):
    """Adam's direction with a separate learning rate for each layer.

    With weights `w`, decay `b` and Adam's bias-corrected moments `m` and `v`, the direction is
    ``r = m / (sqrt(v) + eps) + b w`` and a step ``w = w - lr (|w| / |r|) r``. Vectors (biases, scales of norms), and a
    layer whose weights or direction are 0, have the factor 1 in place of ``|w| / |r|``.

    Parameters
    ----------
    params : iterable
        Parameters or groups of them.
    lr : float
        Learning rate: the share of their norm by which the weights of a layer move.
    betas : (float, float)
        Decay of the moments.
    eps : float
        As in the formula.
    weight_decay : float
        As in the formula.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state, (first, second) = self.state[parameter], group["betas"]
        if "step" not in state:
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"] += 1
        steps = int(state["step"])
        mean = state["exp_avg"].lerp_(gradient, 1 - first) / (1 - first**steps)
        square = state["exp_avg_sq"].mul_(second).addcmul_(gradient, gradient, value=1 - second) / (1 - second**steps)
        direction = mean / (square.sqrt() + group["eps"]) + group["weight_decay"] * parameter
        trust = layer_rate(parameter, direction, lambda w, r: w / r)
        parameter.sub_(direction * (group["lr"] * trust))

"""Construction of the optimizer of a recipe."""

from typing import Any

import torch
from torch import nn

from voxnas.core.architecture import Recipe
from voxnas.nn.network import Network
from voxnas.training.lamb import LAMB
from voxnas.training.lars import LARS
from voxnas.training.muon import Muon

# nnU-Net's values (Isensee et al. 2021): Nesterov momentum, and gradients clipped to norm 12.
MOMENTUM = 0.99
CLIP_NORM = 12.0


def build_optimizer(network: nn.Module, recipe: Recipe, layerwise: bool = False) -> torch.optim.Optimizer:
    """Build the recipe's optimizer of all parameters that learn.

    With `layerwise`, for large batches, LARS replaces SGD and LAMB replaces AdamW, so that the learning rate is the
    share of its norm by which a layer moves in a step. Muon's steps have this property without it.

    Biases and the scales of norms (vectors) do not decay: weight decay is meant for the directions that a norm leaves
    free, and it degrades the fit of small networks.

    Parameters
    ----------
    network : nn.Module
    recipe : Recipe
    layerwise : bool
    """
    learning = [p for p in network.parameters() if p.requires_grad]
    matrices = [p for p in learning if p.ndim > 1]
    inner = _inner_matrices(network, matrices) if recipe.optimizer == "muon" else set()
    groups: list[dict[str, Any]] = [
        {"params": [p for p in matrices if p in inner], "weight_decay": recipe.weight_decay, "orthogonal": True},
        {"params": [p for p in matrices if p not in inner], "weight_decay": recipe.weight_decay},
        {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [g for g in groups if g["params"]]
    rate = recipe.learning_rate
    if recipe.optimizer == "muon":
        return Muon(groups, lr=rate)
    if recipe.optimizer == "sgd":
        if layerwise:
            return LARS(groups, lr=rate, trust=1.0)
        return torch.optim.SGD(groups, lr=rate, momentum=MOMENTUM, nesterov=True)
    return LAMB(groups, lr=rate) if layerwise else torch.optim.AdamW(groups, lr=rate)


def _inner_matrices(network: nn.Module, matrices: list[nn.Parameter]) -> set[nn.Parameter]:
    """Weights of the convolutions that mix channels between the ends of a network, to which Muon applies.

    Following Jordan et al. (2024), AdamW updates the first weight and the heads, which map from and to other spaces,
    and depthwise convolutions, whose rows are independent.
    """
    heads = [network.get_submodule(output) for output in network.graph.outputs] if isinstance(network, Network) else []
    ends = {matrices[0], *(p for head in heads for p in head.parameters())}
    return {p for p in matrices if p.shape[1] > 1} - ends


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    """Set the learning rate of all groups of parameters of an `optimizer` to a `value`."""
    for group in optimizer.param_groups:
        group["lr"] = value

"""Optimizers, as a recipe names them."""

from __future__ import annotations

from collections.abc import Iterator
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
    """The recipe's optimizer over all parameters that learn.

    With `layerwise`, for large batches, SGD becomes LARS and AdamW LAMB, so that a recipe's learning rate is
    the share of its norm by which a layer moves in a step; Muon's steps are of that kind already.

    Biases and the scales of norms (vectors) do not decay: decay is meant for the directions that
    a norm leaves free, and it pulls small networks with few channels off their fit.
    """
    learning = [p for p in network.parameters() if p.requires_grad]
    if recipe.optimizer == "muon":
        return _muon(network, learning, recipe)
    groups = [
        {"params": [p for p in learning if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [g for g in groups if g["params"]]
    if layerwise and recipe.optimizer == "sgd":
        return LARS(groups, lr=recipe.learning_rate, trust=1.0)
    if layerwise:
        return LAMB(groups, lr=recipe.learning_rate)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=MOMENTUM, nesterov=True)
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def _muon(network: nn.Module, learning: list[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """Muon for the convolutions between the ends of a network that mix channels, AdamW for the rest.

    As Jordan et al. (2024) advise, the first weight and the heads, which map from and to other
    spaces, have AdamW; so have depthwise convolutions, whose rows have nothing to do with each other.
    """
    ends = {id(p) for p in _heads(network)} | {id(next(p for p in learning if p.ndim > 1))}
    inner = [p for p in learning if p.ndim > 1 and p.shape[1] > 1 and id(p) not in ends]
    chosen = {id(p) for p in inner}
    outer = [p for p in learning if p.ndim > 1 and id(p) not in chosen]
    groups: list[dict[str, Any]] = [
        {"params": inner, "weight_decay": recipe.weight_decay, "orthogonal": True},
        {"params": outer, "weight_decay": recipe.weight_decay},
        {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return Muon([g for g in groups if g["params"]], lr=recipe.learning_rate)


def _heads(network: nn.Module) -> Iterator[nn.Parameter]:
    if isinstance(network, Network):
        for identity in network.graph.outputs:
            yield from network.get_submodule(identity).parameters()


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    """Set the learning rate of every group of parameters to a value."""
    for group in optimizer.param_groups:
        group["lr"] = value

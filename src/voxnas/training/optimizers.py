"""Optimizers, as a recipe names them."""

from __future__ import annotations

import torch
from torch import nn

from voxnas.core.architecture import Recipe

# nnU-Net's values (Isensee et al. 2021): Nesterov momentum, and gradients clipped to norm 12.
MOMENTUM = 0.99
CLIP_NORM = 12.0


def build_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer over all parameters that learn.

    Biases and the scales of norms (vectors) do not decay: decay is meant for the directions that
    a norm leaves free, and it pulls small networks with few channels off their fit.
    """
    learning = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learning if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [g for g in groups if g["params"]]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=MOMENTUM, nesterov=True)
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    """Give every group of parameters this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = value

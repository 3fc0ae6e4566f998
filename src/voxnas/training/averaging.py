"""Averaged weights, which a training validates and returns."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Tensors = tuple[Tensor, ...] | list[Tensor]


def averaged(network: nn.Module, share: float) -> AveragedModel:
    """Copy a network for the average of its weights over about the last `share` of all steps.

    In step t the average moves by ``1 - (1 - 1 / t) ** (1 / share)`` towards the weights, so that the weights of step s
    contribute in proportion to ``s ** (1 / share - 1)``. This power-function average (Karras et al. 2024, section 3.1;
    Shamir and Zhang 2013) needs no correction of an initial bias. Its window grows with the training and is therefore
    independent of the end. A share of 1 gives the mean of all weights.

    Parameters
    ----------
    network : nn.Module
        With its initial weights, on the device of the training.
    share : float
        In (0, 1].
    """

    @torch.no_grad()
    def move(averages: Tensors, weights: Tensors, steps: Tensor | int) -> None:
        keep = (1 - 1 / (int(steps) + 1)) ** (1 / share)
        torch._foreach_lerp_(averages, weights, 1 - keep)

    return AveragedModel(network, multi_avg_fn=move)

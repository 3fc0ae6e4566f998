"""The blocks of both families: plain, residual and inverted, with their norms and activations.

A block takes `in_channels` to `out_channels` at a stride; a stage is an optional pooling and a
chain of blocks. Convolutions that a norm follows have no bias, which the norm would undo.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from voxnas.core.architecture import CNN, UNet
from voxnas.core.layers import STEM_BLOCK, hidden_channels, norm_groups

Triple = tuple[int, int, int]
ONE: Triple = (1, 1, 1)


def make_norm(kind: str, channels: int) -> nn.Module:
    """Instance norm (Ulyanov 2016) or group norm (Wu 2018), both with a learnt scale and shift.

    Both look at one sample at a time, so that results do not depend on how a batch is shared
    among processes.
    """
    if kind == "instance":
        return nn.InstanceNorm3d(channels, affine=True)
    return nn.GroupNorm(norm_groups(channels), channels)


def make_activation(kind: str) -> nn.Module:
    """``relu``, ``leaky_relu`` (slope 0.01, as in nnU-Net) or ``silu``."""
    if kind == "relu":
        return nn.ReLU(inplace=True)
    if kind == "leaky_relu":
        return nn.LeakyReLU(0.01, inplace=True)
    return nn.SiLU()


class ConvNorm(nn.Sequential):
    """Convolution with size-preserving padding, norm and, unless None, an activation.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels.
    kernel, stride : tuple of int, (D, H, W)
        Odd kernel, and stride.
    norm : str
        ``instance`` or ``group``.
    activation : str or None
        Name for :func:`make_activation`; None: a linear output.
    groups : int
        Groups of the convolution; `in_channels` makes it depthwise.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Triple,
        stride: Triple,
        norm: str,
        activation: str | None,
        groups: int = 1,
    ) -> None:
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        conv = nn.Conv3d(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False)
        tail = [] if activation is None else [make_activation(activation)]
        super().__init__(conv, make_norm(norm, out_channels), *tail)


class ResidualBlock(nn.Module):
    """Two convolutions and a skip (He et al. 2016), with a pointwise projection where shapes differ."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: Triple, stride: Triple, norm: str, activation: str
    ) -> None:
        super().__init__()
        self.first = ConvNorm(in_channels, out_channels, kernel, stride, norm, activation)
        self.second = ConvNorm(out_channels, out_channels, kernel, ONE, norm, None)
        same = in_channels == out_channels and stride == ONE
        self.skip = nn.Identity() if same else ConvNorm(in_channels, out_channels, ONE, stride, norm, None)
        self.activation = make_activation(activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the block to x (B, C, D, H, W)."""
        return self.activation(self.second(self.first(x)) + self.skip(x))


class InvertedBlock(nn.Module):
    """Pointwise expansion, depthwise convolution, linear pointwise projection (Sandler et al. 2018).

    The expansion is counted from the smaller of the input and output channels, not from the input:
    in a decoder the input is a concatenation, and expanding it would dominate the memory.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Triple,
        stride: Triple,
        norm: str,
        activation: str,
        expansion: int,
    ) -> None:
        super().__init__()
        hidden = hidden_channels(in_channels, out_channels, expansion)
        self.path = nn.Sequential(
            ConvNorm(in_channels, hidden, ONE, ONE, norm, activation),
            ConvNorm(hidden, hidden, kernel, stride, norm, activation, groups=hidden),
            ConvNorm(hidden, out_channels, ONE, ONE, norm, None),
        )
        self.residual = in_channels == out_channels and stride == ONE

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the block to x (B, C, D, H, W)."""
        y = self.path(x)
        return x + y if self.residual else y


def make_block(
    architecture: UNet | CNN, kind: str, in_channels: int, out_channels: int, kernel: Triple, stride: Triple
) -> nn.Module:
    """One block of the given kind, with the norm and activation of the architecture."""
    norm, activation = architecture.norm, architecture.activation
    if kind == "plain":
        return ConvNorm(in_channels, out_channels, kernel, stride, norm, activation)
    if kind == "residual":
        return ResidualBlock(in_channels, out_channels, kernel, stride, norm, activation)
    return InvertedBlock(in_channels, out_channels, kernel, stride, norm, activation, architecture.expansion)


def make_chain(
    architecture: UNet | CNN, kinds: Sequence[str], in_channels: int, out_channels: int, kernel: Triple, stride: Triple
) -> nn.Sequential:
    """Blocks one after the other; the first changes the channels and has the stride."""
    blocks = [make_block(architecture, kinds[0], in_channels, out_channels, kernel, stride)]
    blocks += [make_block(architecture, kind, out_channels, out_channels, kernel, ONE) for kind in kinds[1:]]
    return nn.Sequential(*blocks)


def make_encoder(architecture: UNet | CNN) -> nn.ModuleList:
    """Build the stages of an architecture, each with its down-sampling.

    The network's first block is plain where the blocks are inverted (the stem of MobileNetV2):
    expanding the few input channels pointwise would add nothing.
    """
    stages = nn.ModuleList()
    channels = architecture.in_channels
    for i, (width, blocks, stride, kernel) in enumerate(
        zip(architecture.widths, architecture.blocks, architecture.strides, architecture.kernels, strict=True)
    ):
        kinds: list[str] = [architecture.block] * blocks
        if i == 0:
            kinds[0] = STEM_BLOCK[architecture.block]
        if architecture.downsample == "stride" or stride == ONE:
            stage = make_chain(architecture, kinds, channels, width, kernel, stride)
        else:
            pool = nn.MaxPool3d(stride) if architecture.downsample == "max" else nn.AvgPool3d(stride)
            stage = nn.Sequential(pool, *make_chain(architecture, kinds, channels, width, kernel, ONE))
        stages.append(stage)
        channels = width
    return stages

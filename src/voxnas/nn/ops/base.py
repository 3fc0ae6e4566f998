"""Shared parts of the modules of primitives: registry, norms, activations, convolutions, shortcuts."""

from collections.abc import Callable, Sequence
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from voxnas.arch.graph import Node
from voxnas.arch.layers import Size, divisor_up_to, ones
from voxnas.core.registry import Registry
from voxnas.nn.ops.depthwise import DepthwiseConv3d
from voxnas.nn.ops.onednn import OneDnnConv3d
from voxnas.nn.ops.pointwise import PointwiseConv3d

Build = Callable[[Node, Sequence[int]], nn.Module]
"""Builds the module of a node (first parameter) from the number of channels of each input (second parameter)."""

Layers = dict[int, Callable[..., nn.Module]]
"""A layer for each number of spatial dimensions."""

MODULES: Registry[Build] = Registry("module", "voxnas.modules")

CONV: dict[int, Callable[..., nn.Conv1d | nn.Conv2d | nn.Conv3d]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: Layers = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
INSTANCE_NORM: Layers = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
MAX_POOL: Layers = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGE_POOL: Layers = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
ADAPTIVE_POOL: Layers = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": partial(nn.ReLU, inplace=True),
    "relu6": partial(nn.ReLU6, inplace=True),
    "leaky_relu": partial(nn.LeakyReLU, 0.01, inplace=True),
    "elu": partial(nn.ELU, inplace=True),
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}


class _SingleValue(nn.modules.batchnorm._BatchNorm):
    """Batch norm that uses the running statistics for a single value per channel, which torch refuses to normalise."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x (B, C, *S)."""
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


class BatchNorm1d(_SingleValue, nn.BatchNorm1d):
    """For (B, C, W)."""


class BatchNorm2d(_SingleValue, nn.BatchNorm2d):
    """For (B, C, H, W)."""


class BatchNorm3d(_SingleValue, nn.BatchNorm3d):
    """For (B, C, D, H, W)."""


BATCH_NORM: Layers = {1: BatchNorm1d, 2: BatchNorm2d, 3: BatchNorm3d}


def make_norm(kind: str, channels: int, dims: int, affine: bool = True) -> nn.Module:
    """Instance norm (Ulyanov 2016), group norm (Wu 2018) or batch norm.

    Instance norm and group norm treat each sample alone, so results do not depend on the division of a batch among
    processes. Batch norm serves the published hand-made networks.

    Parameters
    ----------
    kind : str
        ``instance``, ``group`` or ``batch``.
    channels : int
        Channels of the input.
    dims : int
        Number of spatial dimensions.
    affine : bool
        Learn a scale and a bias of each channel.
    """
    if kind == "instance":
        return INSTANCE_NORM[dims](channels, affine=affine)
    if kind == "group":
        return nn.GroupNorm(divisor_up_to(channels, 8), channels, affine=affine)  # at most 8 groups
    if kind == "batch":
        return BATCH_NORM[dims](channels, affine=affine)
    raise ValueError(f"norm {kind!r} is none of instance, group, batch")


def make_activation(kind: str) -> nn.Module:
    """Make an activation by kind: ``relu``, ``relu6``, ``leaky_relu`` (slope 0.01), ``elu``, ``silu`` or ``gelu``."""
    if kind not in ACTIVATIONS:
        raise ValueError(f"activation {kind!r} is none of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[kind]()


def make_conv(
    in_channels: int, out_channels: int, kernel: Size, stride: Size, groups: int = 1, dilation: int = 1
) -> nn.Module:
    """A convolution with size-preserving padding and no bias, in the fastest equivalent implementation.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and the output.
    kernel, stride : tuple of int
        Odd kernel and stride in voxels along each axis.
    groups : int
        Groups of channels that are convolved separately.
    dilation : int
        Distance between the taps of the kernel in voxels.
    """
    padding = tuple(dilation * (k // 2) for k in kernel)
    if len(kernel) == 3 and len(stride) == 3 and len(padding) == 3:
        if 1 < groups == in_channels == out_channels:
            return DepthwiseConv3d(in_channels, kernel, stride, padding, dilation)
        if groups == 1 and max(kernel) > 1:
            return OneDnnConv3d(in_channels, out_channels, kernel, stride, padding, dilation)
        if groups == 1 and max(stride) == 1:
            return PointwiseConv3d(in_channels, out_channels)
    layer = CONV[len(kernel)]
    return layer(in_channels, out_channels, kernel, stride, padding, groups=groups, dilation=dilation, bias=False)


class ConvNorm(nn.Sequential):
    """Convolution with size-preserving padding, norm and optional activation.

    The convolution has no bias, because the norm would cancel it.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels.
    kernel, stride : tuple of int
        Odd kernel and stride, one entry for each dimension.
    norm : str
        For :func:`make_norm`.
    activation : str or None
        For :func:`make_activation`; None for a linear output.
    groups : int
        Groups of the convolution; `in_channels` makes it depthwise.
    dilation : int
        Distance between the taps of the kernel.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Size,
        stride: Size,
        norm: str,
        activation: str | None,
        groups: int = 1,
        dilation: int = 1,
    ) -> None:
        conv = make_conv(in_channels, out_channels, kernel, stride, groups, dilation)
        tail = [] if activation is None else [make_activation(activation)]
        super().__init__(conv, make_norm(norm, out_channels, len(kernel)), *tail)


def pointwise(
    in_channels: int, out_channels: int, node: Node, activation: bool = True, stride: Size | None = None
) -> ConvNorm:
    """A convolution with kernel 1 and the norm of a node.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and the output.
    node : Node
        Determines the norm and the activation.
    activation : bool
        Apply the activation.
    stride : tuple of int, optional
        Stride in voxels along each axis; 1 by default.
    """
    one = ones(len(node.stride))
    return ConvNorm(in_channels, out_channels, one, stride or one, node.norm, node.activation if activation else None)


def keeps_shape(node: Node, in_channels: int) -> bool:
    """Whether a node with `in_channels` input channels has an output of the shape of its input."""
    return in_channels == node.channels and node.stride == ones(len(node.stride))


def make_shortcut(node: Node, in_channels: int) -> nn.Module:
    """The residual connection of a block with `in_channels`: identity, or a strided projection between shapes."""
    if keeps_shape(node, in_channels):
        return nn.Identity()
    return pointwise(in_channels, node.channels, node, activation=False, stride=node.stride)


class Stateless(nn.Module):
    """Base of the modules that have neither parameters nor options."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()


class Framewise(nn.Module):
    """Applies a module to each frame of clips, (B, T, C, *S), with the frames as a batch."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *clips: Tensor) -> Tensor:
        """Fold time into the batch, apply the module, and unfold time."""
        frames = clips[0].shape[1]
        y = self.module(*(x.flatten(0, 1) for x in clips))
        return y.unflatten(0, (-1, frames))

"""Layers and heads that the graphs of several networks share."""

from collections.abc import Sequence

from voxnas.arch.graph import GraphBuilder
from voxnas.arch.layers import Size

Kernel = Size | int


def conv(
    graph: GraphBuilder,
    at: str,
    channels: int,
    kernel: Kernel = 3,
    stride: Kernel = 1,
    groups: int = 1,
    bias: bool = False,
    activate: bool = True,
) -> str:
    """A convolution of node `at` to `channels`, in `groups`, with its norm and, if `activate`, its activation.

    With `bias` it has a bias before the norm.
    """
    options = {"groups": groups, "bias": bias, "activate": activate}
    return graph.add("conv", at, channels, kernel, stride, options=options)


def bare(
    graph: GraphBuilder,
    at: str,
    channels: int,
    kernel: Kernel = 3,
    stride: Kernel = 1,
    bias: bool = False,
    activate: bool = False,
) -> str:
    """A convolution of node `at` to `channels` without a norm, with a `bias` and, if `activate`, an activation."""
    return graph.add("conv", at, channels, kernel, stride, options={"norm": False, "bias": bias, "activate": activate})


def classify(graph: GraphBuilder, at: str, out_channels: int, dropout: float = 0.0) -> str:
    """Global average pooling of node `at`, `dropout` and a linear layer to `out_channels`."""
    return graph.add(
        "linear_head", graph.add("global_pool", at), out_channels, options={"dropout": dropout}, name="head"
    )


def add_heads(graph: GraphBuilder, decoded: Sequence[str], out_channels: int) -> list[str]:
    """A head of `out_channels` on each node of `decoded`, from full resolution on; the first is the output."""
    names = ["head", *(f"auxiliary.{stage}" for stage in range(1, len(decoded)))]
    return [graph.add("pointwise_head", at, out_channels, name=name) for at, name in zip(decoded, names, strict=True)]


def up(graph: GraphBuilder, at: str, skip: str, channels: int, stride: Kernel = 2) -> str:
    """A transposed convolution of node `at` to `channels`, cropped to the size of the skip."""
    return graph.add("crop", (graph.add("transposed", at, channels, stride=stride), skip))


def scaled(channels: int, width: float, divisor: int = 1) -> int:
    """The product of `channels` and `width`, rounded to a multiple of `divisor`, but at least 0.9 of the product."""
    wanted = channels * width
    rounded = max(divisor, int(wanted + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * wanted else rounded

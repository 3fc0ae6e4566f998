"""The two nnU-Net plans: plain (Isensee et al. 2021, Nature Methods) and residual encoder (2024, MICCAI)."""

from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.parts import Kernel, conv
from voxnas.arch.reference.registry import SEGMENTATION, Published, network

STRIDES = (1, 2, 2, 2, 2, 2)
KERNELS = (3, 3, 3, 3, 3, 3)
RESIDUAL_BLOCKS = (1, 3, 4, 6, 6, 6)
Stages = tuple[Kernel, ...]


def stage_width(width: int, stage: int) -> int:
    """Channels of a stage: the width doubled up to ten times, as in nnU-Net."""
    return min(width * 2**stage, 10 * width)


def _residual(graph: GraphBuilder, at: str, channels: int, kernel: Kernel, stride: Kernel) -> str:
    """A residual block whose skip is pooled by its mean before it is projected ("ResNet-D", He et al. 2019, CVPR)."""
    path = conv(graph, at, channels, kernel, stride, bias=True)
    path = conv(graph, path, channels, kernel, bias=True, activate=False)
    if stride not in (1, (1,) * graph.dims):
        at = graph.add("window_average", at, kernel=stride, stride=stride)
    if graph.channels(at) != channels:
        at = conv(graph, at, channels, 1, activate=False)
    return graph.add("activate", graph.add("add", (path, at)))


def _decode(
    graph: GraphBuilder, ends: list[str], out_channels: int, blocks: int, strides: Stages, kernels: Stages
) -> Graph:
    """The decoder that both plans share; all its stages but the lowest are supervised."""
    at, heads = ends[-1], []
    for stage in reversed(range(len(ends) - 1)):
        skip = ends[stage]
        with graph.scope(f"decoder.{stage}"):
            raised = graph.add("transposed", at, graph.channels(skip), stride=strides[stage + 1])
            at = graph.add("concat", (graph.add("crop", (raised, skip)), skip))
            for _ in range(blocks):
                at = conv(graph, at, graph.channels(skip), kernels[stage], bias=True)
            if stage == 0 or stage < len(ends) - 2:
                heads.append(graph.add("pointwise_head", at, out_channels, name="head"))
    return graph.finish(*(reversed(heads) if heads else [graph.add("pointwise_head", at, out_channels, name="head")]))


PLAIN = Published(
    31_195_594 - 320 * 2 - 2,
    "dynamic-network-architectures PlainConvUNet, less the head of the lowest stage (never trained)",
    dims=3,
    in_channels=1,
    out_channels=2,
)
RESIDUAL = Published(
    102_349_770 - 320 * 2 - 2,
    "dynamic-network-architectures ResidualEncoderUNet, less the head of the lowest stage (never trained)",
    dims=3,
    in_channels=1,
    out_channels=2,
)


@network("nnunet-plain", "Isensee et al. 2021, Nature Methods", SEGMENTATION, PLAIN)
def nnunet_plain(
    in_channels: int,
    out_channels: int,
    dims: int,
    width: int = 32,
    strides: Stages = STRIDES,
    kernels: Stages = KERNELS,
) -> Graph:
    """The plain plan from `width` channels: two convolutions a stage, strided, with biases as in the reference."""
    graph = GraphBuilder(in_channels, dims)
    at, ends = graph.input, []
    for stage, (stride, kernel) in enumerate(zip(strides, kernels, strict=True)):
        with graph.scope(f"encoder.{stage}"):
            at = conv(graph, at, stage_width(width, stage), kernel, stride, bias=True)
            at = conv(graph, at, stage_width(width, stage), kernel, bias=True)
        ends.append(at)
    return _decode(graph, ends, out_channels, 2, strides, kernels)


@network("nnunet-resenc", "Isensee et al. 2024, MICCAI", SEGMENTATION, RESIDUAL)
def nnunet_resenc(
    in_channels: int,
    out_channels: int,
    dims: int,
    width: int = 32,
    strides: Stages = STRIDES,
    kernels: Stages = KERNELS,
) -> Graph:
    """The residual encoder: a stem of `width`, 1, 3, 4, 6, 6, 6 residual blocks, one convolution a decoder stage."""
    graph = GraphBuilder(in_channels, dims)
    at, ends = conv(graph, graph.input, width, kernels[0], bias=True), []
    for stage, (stride, kernel) in enumerate(zip(strides, kernels, strict=True)):
        for number in range(RESIDUAL_BLOCKS[min(stage, len(RESIDUAL_BLOCKS) - 1)]):
            with graph.scope(f"encoder.{stage}.block.{number}"):
                at = _residual(graph, at, stage_width(width, stage), kernel, 1 if number else stride)
        ends.append(at)
    return _decode(graph, ends, out_channels, 1, strides, kernels)

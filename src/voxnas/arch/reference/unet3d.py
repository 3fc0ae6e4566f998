"""3D U-Net (Cicek et al. 2016, MICCAI) as published, and the Attention U-Net (Oktay et al. 2018, MIDL)."""

from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.parts import bare, conv, up
from voxnas.arch.reference.registry import SEGMENTATION, Published, network


@network(
    "unet3d",
    "Cicek et al. 2016, MICCAI",
    SEGMENTATION,
    Published(19_069_955, "the paper, section 2", dims=3, in_channels=3, out_channels=3),
)
def unet3d(in_channels: int, out_channels: int, dims: int, width: int = 32, levels: int = 4) -> Graph:
    """3D U-Net of `levels` from `width` channels: two convolutions a level, the second doubles; max pooling.

    The published count has one parameter per channel beside the weights of each convolution, and only weights in the
    up-convolutions. Here this parameter is the shift of the batch norm, which has no scale. Difference from the paper:
    the convolutions are padded, so that the output has the size of the input.
    """
    graph = GraphBuilder(in_channels, dims, "batch", "relu")

    def convolve(at: str, channels: int) -> str:
        return graph.add("conv", at, channels, 3, options={"scale": False})

    at, skips = graph.input, []
    for level in range(levels):
        with graph.scope(f"encoder.{level}"):
            if level:
                skips.append(at)
                at = graph.add("window_max", at, kernel=2, stride=2)
            at = convolve(convolve(at, width * 2**level), width * 2 ** (level + 1))
    for level, skip in reversed(list(enumerate(skips))):
        with graph.scope(f"decoder.{level}"):
            raised = graph.add("transposed", at, graph.channels(at), stride=2, options={"bias": False})
            joined = graph.add("concat", (skip, graph.add("crop", (raised, skip))))
            at = convolve(convolve(joined, graph.channels(skip)), graph.channels(skip))
    return graph.finish(graph.add("pointwise_head", at, out_channels, name="head"))


@network(
    "attention-unet",
    "Oktay et al. 2018, MIDL",
    SEGMENTATION,
    Published(
        23_625_986 - 19 * 174_080 - 4 - 484,
        "MONAI AttentionUnet of these channels, less 19 taps of each up-convolution, 4 slopes and 484 idle biases",
        dims=3,
        in_channels=1,
        out_channels=2,
    ),
)
def attention_unet(in_channels: int, out_channels: int, dims: int, width: int = 32, levels: int = 5) -> Graph:
    """Attention U-Net of `levels` from `width` channels, laid out as in MONAI: a gate on each skip, one convolution.

    Differences from MONAI: the kernel of the up-convolutions is 2, not 3; the convolution after the joined skip has a
    leaky ReLU, not a PReLU with one slope, and its bias follows the norm, which would undo it; the gates have no biases
    before their norms.
    """
    graph = GraphBuilder(in_channels, dims, "batch", "relu")
    at, skips = graph.input, []
    for level in range(levels):
        if level:
            skips.append(at)
        with graph.scope(f"encoder.{level}"):
            at = conv(graph, at, width * 2**level, stride=2 if level else 1, bias=True)
            at = conv(graph, at, width * 2**level, bias=True)
    shift = {"scale": False}
    for level, skip in reversed(list(enumerate(skips))):
        channels = graph.channels(skip)
        with graph.scope(f"decoder.{level}"):
            raised = graph.add("normalize", up(graph, at, skip, channels))
            joined = graph.add("concat", (graph.add("attention_gate", (skip, raised)), raised))
            at = graph.add("conv", joined, channels, 3, norm="instance", activation="leaky_relu", options=shift)
    with graph.scope("head"):
        return graph.finish(bare(graph, at, out_channels, 1, bias=True))

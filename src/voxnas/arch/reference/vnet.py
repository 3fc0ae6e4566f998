"""V-Net (Milletari et al. 2016, 3DV)."""

from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.parts import bare, conv, up
from voxnas.arch.reference.registry import SEGMENTATION, Published, network

STEM = 16
DOWN, UP = (1, 2, 3, 2), (2, 2, 1, 1)


@network(
    "vnet",
    "Milletari et al. 2016, 3DV",
    SEGMENTATION,
    Published(45_597_898, "MONAI VNet", dims=3, in_channels=1, out_channels=2, options={"activation": "elu"}),
    Published(45_601_516, "MONAI VNet(act='prelu')", dims=3, in_channels=1, out_channels=2),
)
def vnet(in_channels: int, out_channels: int, dims: int, activation: str = "prelu") -> Graph:
    """V-Net: residual stages of convolutions with the kernel 5, an activation, strided convolutions with the kernel 2.

    Each convolution has batch norm, as in MONAI and the common ports, to which the counts belong; the paper has none.
    The dropout of the paper is left out. The input is repeated to the 16 channels of the first sum, or projected if 16
    is no multiple of its channels.
    """
    graph = GraphBuilder(in_channels, dims, "batch", activation)

    def stage(at: str, count: int, inner: str) -> str:
        for _ in range(count):
            inner = conv(graph, inner, graph.channels(inner), 5)
        return graph.add("activate", graph.add("add", (inner, at)))

    first = conv(graph, graph.input, STEM, 5, activate=False)
    times, rest = divmod(STEM, in_channels)
    if rest:
        wide = bare(graph, graph.input, STEM, 1)
    else:
        wide = graph.add("concat", (graph.input,) * times) if times > 1 else graph.input
    at, skips = graph.add("activate", graph.add("add", (first, wide))), []
    for level, count in enumerate(DOWN, start=1):
        skips.append(at)
        with graph.scope(f"encoder.{level}"):
            at = conv(graph, at, 2 * graph.channels(at), 2, 2)
            at = stage(at, count, at)
    for level, (count, skip) in reversed(list(enumerate(zip(reversed(UP), skips, strict=True)))):
        with graph.scope(f"decoder.{level}"):
            raised = graph.add("normalize", up(graph, at, skip, graph.channels(skip)))
            at = graph.add("concat", (raised, skip))
            at = stage(at, count, at)
    with graph.scope("head"):
        return graph.finish(bare(graph, conv(graph, at, out_channels, 5), out_channels, 1, bias=True))

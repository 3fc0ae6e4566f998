"""MobileNet v1 (Howard et al. 2017, arXiv 1704.04861) and v2 (Sandler et al. 2018, CVPR)."""

from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.parts import classify, conv, scaled
from voxnas.arch.reference.registry import VECTOR, Published, network

V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
# Expansion, channels, blocks, stride of the first.
V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


@network(
    "mobilenet_v1",
    "Howard et al. 2017, arXiv 1704.04861",
    VECTOR,
    Published(4_231_976, "Keras MobileNet, trainable; 4.2 million in the paper"),
    Published(1_331_592, "Keras MobileNet(alpha=0.5), trainable; 1.3 million in the paper", options={"width": 0.5}),
    Published(470_072, "Keras MobileNet(alpha=0.25), trainable; 0.5 million in the paper", options={"width": 0.25}),
)
def mobilenet_v1(in_channels: int, out_channels: int, dims: int, width: float = 1.0) -> Graph:
    """Depthwise convolutions, each followed by a pointwise one; `width` multiplies all channels."""
    graph = GraphBuilder(in_channels, dims, "batch", "relu")
    at = conv(graph, graph.input, scaled(32, width), 3, 2)
    for number, (channels, stride) in enumerate(V1):
        with graph.scope(f"block.{number}"):
            at = conv(graph, at, graph.channels(at), 3, stride, groups=graph.channels(at))
            at = conv(graph, at, scaled(channels, width), 1)
    return graph.finish(classify(graph, at, out_channels))


@network(
    "mobilenet_v2",
    "Sandler et al. 2018, CVPR",
    VECTOR,
    Published(3_504_872, "torchvision mobilenet_v2; 3.4 million in the paper"),
)
def mobilenet_v2(in_channels: int, out_channels: int, dims: int, width: float = 1.0) -> Graph:
    """Inverted bottlenecks; `width` multiplies the channels, rounded to multiples of 8, the last never below 1280.

    They are built of elementary layers, for the expansion of the primitive ``inverted`` multiplies the smaller of the
    input and output channels, in the paper the input channels.
    """
    graph = GraphBuilder(in_channels, dims, "batch", "relu6")
    at = conv(graph, graph.input, scaled(32, width, 8), 3, 2)
    for stage, (expansion, channels, count, first) in enumerate(V2):
        for number in range(count):
            before, stride = at, 1 if number else first
            hidden, outputs = expansion * graph.channels(at), scaled(channels, width, 8)
            with graph.scope(f"stage.{stage}.block.{number}"):
                if expansion > 1:
                    at = conv(graph, at, hidden, 1)
                at = conv(graph, at, hidden, 3, stride, groups=hidden)
                at = conv(graph, at, outputs, 1, activate=False)
                if stride == 1 and outputs == graph.channels(before):
                    at = graph.add("add", (before, at))
    at = conv(graph, at, scaled(1280, max(1.0, width), 8), 1)
    return graph.finish(classify(graph, at, out_channels, 0.2))

"""ShuffleNet v1 (Zhang et al. 2018, CVPR) and v2 (Ma et al. 2018, ECCV)."""

from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.parts import classify, conv
from voxnas.arch.reference.registry import VECTOR, Published, network

V1_STEM = 24
V1_WIDTHS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}  # channels of the first stage, by groups
BLOCKS = (4, 8, 4)
V2_WIDTHS = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}


@network(
    "shufflenet_v1",
    "Zhang et al. 2018, CVPR",
    VECTOR,
    Published(1_865_728, "MMPretrain, 1.87 million"),
)
def shufflenet_v1(in_channels: int, out_channels: int, dims: int, width: float = 1.0, groups: int = 3) -> Graph:
    """Grouped pointwise convolutions with a shuffle between them; `width` multiplies the stages' channels.

    As in the paper the first pointwise convolution has no groups, and the bottleneck is a quarter of a
    unit's output. All channels are rounded to multiples of the groups.
    """
    if groups not in V1_WIDTHS:
        raise ValueError(f"groups {groups} is none of {sorted(V1_WIDTHS)}")
    graph = GraphBuilder(in_channels, dims, "batch", "relu")
    stem = max(1, round(V1_STEM * width / groups)) * groups
    at = graph.add("window_max", conv(graph, graph.input, stem, 3, 2), kernel=3, stride=2)
    quantum = 4 * groups
    for stage, count in enumerate(BLOCKS):
        channels = max(quantum, round(V1_WIDTHS[groups] * width * 2**stage / quantum) * quantum)
        for number in range(count):
            with graph.scope(f"stage.{stage}.unit.{number}"):
                at = _unit(graph, at, channels, 1 if number else 2, groups, first=stage == number == 0)
    return graph.finish(classify(graph, at, out_channels))


def _unit(graph: GraphBuilder, at: str, channels: int, stride: int, groups: int, first: bool) -> str:
    """One unit of ShuffleNet v1: its input is added, or at stride 2 the local mean of its input concatenated."""
    inner, outputs = channels // 4, channels - (graph.channels(at) if stride > 1 else 0)
    path = conv(graph, at, inner, 1, groups=1 if first else groups)
    path = path if first else graph.add("channel_shuffle", path, options={"groups": groups})
    path = conv(graph, path, inner, 3, stride, groups=inner, activate=False)
    if stride == 1:
        path = conv(graph, path, outputs, 1, groups=groups, activate=False)
        return graph.add("activate", graph.add("add", (path, at)))
    path = conv(graph, path, outputs, 1, groups=groups, activate=False)
    mean = graph.add("window_average", at, kernel=3, stride=2)
    return graph.add("activate", graph.add("concat", (mean, path)))


@network(
    "shufflenet_v2",
    "Ma et al. 2018, ECCV",
    VECTOR,
    Published(2_278_604, "torchvision shufflenet_v2_x1_0"),
    Published(1_366_792, "torchvision shufflenet_v2_x0_5", options={"width": 0.5}),
    Published(3_503_624, "torchvision shufflenet_v2_x1_5", options={"width": 1.5}),
    Published(7_393_996, "torchvision shufflenet_v2_x2_0", options={"width": 2.0}),
)
def shufflenet_v2(in_channels: int, out_channels: int, dims: int, width: float = 1.0) -> Graph:
    """Units that convolve half of the channels and shuffle both halves; `width` is 0.5, 1, 1.5 or 2."""
    if width not in V2_WIDTHS:
        raise ValueError(f"width {width} is none of {sorted(V2_WIDTHS)}")
    *widths, last = V2_WIDTHS[width]
    graph = GraphBuilder(in_channels, dims, "batch", "relu")
    at = graph.add("window_max", conv(graph, graph.input, 24, 3, 2), kernel=3, stride=2)
    for stage, (channels, count) in enumerate(zip(widths, BLOCKS, strict=True)):
        for number in range(count):
            with graph.scope(f"stage.{stage}.unit.{number}"):
                at = _unit_v2(graph, at, channels // 2, 1 if number else 2)
    return graph.finish(classify(graph, conv(graph, at, last, 1), out_channels))


def _unit_v2(graph: GraphBuilder, at: str, half: int, stride: int) -> str:
    """One unit of ShuffleNet v2: one half of the channels is convolved; the other only at stride 2."""
    if stride == 1:
        passing = graph.add("channel_slice", at, half)
        path = graph.add("channel_slice", at, half, options={"start": half})
    else:
        inputs, path = graph.channels(at), at
        passing = conv(graph, at, inputs, 3, 2, groups=inputs, activate=False)
        passing = conv(graph, passing, half, 1)
    path = conv(graph, path, half, 1)
    path = conv(graph, path, half, 3, stride, groups=half, activate=False)
    path = conv(graph, path, half, 1)
    return graph.add("channel_shuffle", graph.add("concat", (passing, path)), options={"groups": 2})

"""DenseNet-121 (Huang et al. 2017, CVPR)."""

from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.parts import bare, classify, conv
from voxnas.arch.reference.registry import VECTOR, Published, network

LAYERS = (6, 12, 24, 16)


@network(
    "densenet121",
    "Huang et al. 2017, CVPR",
    VECTOR,
    Published(7_978_856, "torchvision densenet121"),
    Published(11_244_674, "MONAI DenseNet121", dims=3, in_channels=1, out_channels=2),
)
def densenet121(in_channels: int, out_channels: int, dims: int, growth: int = 32) -> Graph:
    """6, 12, 24, 16 layers, each appending `growth` channels; pointwise to half the channels between them."""
    graph = GraphBuilder(in_channels, dims, "batch", "relu")
    at = graph.add("window_max", conv(graph, graph.input, 2 * growth, 7, 2), kernel=3, stride=2)
    for stage, count in enumerate(LAYERS):
        with graph.scope(f"stage.{stage}"):
            if stage:
                at = bare(graph, graph.add("normalize", at), graph.channels(at) // 2, 1)
                at = graph.add("window_average", at, kernel=2, stride=2)
            for _ in range(count):
                at = graph.add("dense_layer", at, graph.channels(at) + growth, 3, options={"growth": growth})
    return graph.finish(classify(graph, graph.add("normalize", at), out_channels))

"""GoogLeNet, Inception v1 (Szegedy et al. 2015, CVPR)."""

from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.parts import classify, conv
from voxnas.arch.reference.registry import VECTOR, Published, network

# Channels of a module: 1; 3 reduced, 3; 5 reduced, 5; behind the pooling. Between the rows the size is halved.
MODULES = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)


@network(
    "googlenet",
    "Szegedy et al. 2015, CVPR",
    VECTOR,
    Published(6_624_904, "torchvision googlenet, without the auxiliary classifiers", options={"kernel": 3}),
)
def googlenet(in_channels: int, out_channels: int, dims: int, kernel: int = 5) -> Graph:
    """Inception modules of four paths, side by side, with batch norm; the auxiliary classifiers are left out.

    `kernel` is the kernel of the third path: 5 in the paper, 3 in torchvision, to which the published count belongs.
    """
    graph = GraphBuilder(in_channels, dims, "batch", "relu")

    def halve(at: str, kernel: int = 3) -> str:
        return graph.add("window_max", at, kernel=kernel, stride=2)

    at = halve(conv(graph, graph.input, 64, 7, 2))
    at = halve(conv(graph, conv(graph, at, 64, 1), 192))
    for row, modules in enumerate(MODULES):
        if row:
            at = halve(at, 3 if row == 1 else 2)
        for number, (one, three_in, three, five_in, five, pooled) in enumerate(modules):
            with graph.scope(f"inception.{row}_{number}"):
                paths = (
                    conv(graph, at, one, 1),
                    conv(graph, conv(graph, at, three_in, 1), three),
                    conv(graph, conv(graph, at, five_in, 1), five, kernel),
                    conv(graph, graph.add("window_max", at, kernel=3), pooled, 1),
                )
                at = graph.add("concat", paths)
    return graph.finish(classify(graph, at, out_channels, 0.2))

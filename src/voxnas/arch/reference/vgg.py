"""VGG (Simonyan & Zisserman 2015, ICLR)."""

from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.parts import bare, classify
from voxnas.arch.reference.registry import VECTOR, Published, network

PAPER = "Simonyan & Zisserman 2015, ICLR"
HIDDEN, GRID = 4096, 7
WIDTHS = (64, 128, 256, 512, 512)


def _vgg(in_channels: int, out_channels: int, dims: int, classifier: str, counts: tuple[int, ...]) -> Graph:
    """Convolutions with biases and without norms, and max pooling.

    `classifier` is ``pooled`` (global average pooling and one linear layer, as in Lin et al. 2014) or
    ``published``: two hidden layers of 4096 on a grid of 7 places along each axis, which hold 120 of
    VGG-16's 138 million parameters in two dimensions and would hold 740 in three.
    """
    if classifier not in ("pooled", "published"):
        raise ValueError(f"classifier {classifier!r} is neither pooled nor published")
    graph = GraphBuilder(in_channels, dims, "batch", "relu")
    at = graph.input
    for stage, (width, count) in enumerate(zip(WIDTHS, counts, strict=True)):
        with graph.scope(f"stage.{stage}"):
            for _ in range(count):
                at = bare(graph, at, width, bias=True, activate=True)
            at = graph.add("window_max", at, kernel=2, stride=2)
    if classifier == "pooled":
        return graph.finish(classify(graph, at, out_channels, 0.5))
    at = graph.add("dense", at, HIDDEN, options={"grid": GRID})
    at = graph.add("dense", at, HIDDEN, options={"dropout": 0.5})
    return graph.finish(graph.add("linear_head", at, out_channels, options={"dropout": 0.5}, name="head"))


@network("vgg11", PAPER, VECTOR, Published(132_863_336, "torchvision vgg11", options={"classifier": "published"}))
def vgg11(in_channels: int, out_channels: int, dims: int, classifier: str = "pooled") -> Graph:
    """Configuration A: 1, 1, 2, 2, 2 convolutions and a classifier."""
    return _vgg(in_channels, out_channels, dims, classifier, (1, 1, 2, 2, 2))


@network("vgg16", PAPER, VECTOR, Published(138_357_544, "torchvision vgg16", options={"classifier": "published"}))
def vgg16(in_channels: int, out_channels: int, dims: int, classifier: str = "pooled") -> Graph:
    """Configuration D: 2, 2, 3, 3, 3 convolutions and a classifier."""
    return _vgg(in_channels, out_channels, dims, classifier, (2, 2, 3, 3, 3))

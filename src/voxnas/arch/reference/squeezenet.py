"""SqueezeNet (Iandola et al. 2016, arXiv 1602.07360)."""

from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.parts import bare, classify
from voxnas.arch.reference.registry import VECTOR, Published, network

PAPER = "Iandola et al. 2016, arXiv 1602.07360"
SQUEEZE = (16, 16, 32, 32, 48, 48, 64, 64)


def _squeezenet(
    in_channels: int, out_channels: int, dims: int, stem: tuple[int, int], pooled: tuple[int, ...]
) -> Graph:
    """A stem and eight fire modules, with a max pooling before those in `pooled`.

    Differences from the paper: the stem is padded; the logits are linear, for a ReLU on them excludes regression, so
    that the last pointwise convolution and the pooling behind it are interchanged.
    """
    graph = GraphBuilder(in_channels, dims, "batch", "relu")

    def convolve(at: str, channels: int, kernel: int, stride: int = 1) -> str:
        return bare(graph, at, channels, kernel, stride, bias=True, activate=True)

    at = convolve(graph.input, *stem, 2)
    for number, squeeze in enumerate(SQUEEZE):
        if number in pooled:
            at = graph.add("window_max", at, kernel=3, stride=2)
        with graph.scope(f"fire.{number}"):
            at = convolve(at, squeeze, 1)
            at = graph.add("concat", (convolve(at, 4 * squeeze, 1), convolve(at, 4 * squeeze, 3)))
    return graph.finish(classify(graph, at, out_channels, 0.5))


@network("squeezenet1_0", PAPER, VECTOR, Published(1_248_424, "torchvision squeezenet1_0"))
def squeezenet1_0(in_channels: int, out_channels: int, dims: int) -> Graph:
    """As in the paper: a stem of 96 channels with the kernel 7, late pooling."""
    return _squeezenet(in_channels, out_channels, dims, (96, 7), (0, 3, 7))


@network("squeezenet1_1", PAPER, VECTOR, Published(1_235_496, "torchvision squeezenet1_1"))
def squeezenet1_1(in_channels: int, out_channels: int, dims: int) -> Graph:
    """The authors' second version, 2.4 times cheaper: a stem of 64 channels with the kernel 3, early pooling."""
    return _squeezenet(in_channels, out_channels, dims, (64, 3), (0, 2, 4))

"""ResNet (He et al. 2016, CVPR; in three dimensions Hara et al. 2018, CVPR, and Chen et al. 2019, MedicalNet)."""

from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.parts import classify, conv
from voxnas.arch.reference.registry import VECTOR, Published, network

PAPER = "He et al. 2016, CVPR; 3D: Hara et al. 2018, CVPR"


def _resnet(
    graph: GraphBuilder, out_channels: int, block: str, counts: tuple[int, ...], widths: tuple[int, ...]
) -> Graph:
    at = graph.add("window_max", conv(graph, graph.input, 64, 7, 2), kernel=3, stride=2)
    for stage, (count, width) in enumerate(zip(counts, widths, strict=True)):
        for number in range(count):
            stride = 2 if stage and not number else 1
            at = graph.add(block, at, width, 3, stride, name=f"stage.{stage}.block.{number}")
    return graph.finish(classify(graph, at, out_channels))


def _basic(in_channels: int, out_channels: int, dims: int, counts: tuple[int, ...]) -> Graph:
    graph = GraphBuilder(in_channels, dims, "batch", "relu")
    return _resnet(graph, out_channels, "residual", counts, (64, 128, 256, 512))


@network(
    "resnet10",
    PAPER,
    VECTOR,
    Published(14_356_546, "MONAI resnet10(bias_downsample=False)", dims=3, in_channels=1, out_channels=2),
)
def resnet10(in_channels: int, out_channels: int, dims: int) -> Graph:
    """One residual block a stage; MedicalNet's smallest."""
    return _basic(in_channels, out_channels, dims, (1, 1, 1, 1))


@network(
    "resnet18",
    PAPER,
    VECTOR,
    Published(11_689_512, "torchvision resnet18"),
    Published(33_161_026, "MONAI resnet18(bias_downsample=False)", dims=3, in_channels=1, out_channels=2),
)
def resnet18(in_channels: int, out_channels: int, dims: int) -> Graph:
    """Two residual blocks a stage; the stem has stride 2 and a max pooling."""
    return _basic(in_channels, out_channels, dims, (2, 2, 2, 2))


@network(
    "resnet34",
    PAPER,
    VECTOR,
    Published(21_797_672, "torchvision resnet34"),
    Published(63_470_658, "MONAI resnet34(bias_downsample=False)", dims=3, in_channels=1, out_channels=2),
)
def resnet34(in_channels: int, out_channels: int, dims: int) -> Graph:
    """3, 4, 6, 3 residual blocks."""
    return _basic(in_channels, out_channels, dims, (3, 4, 6, 3))


@network(
    "resnet50",
    PAPER,
    VECTOR,
    Published(25_557_032, "torchvision resnet50"),
    Published(46_159_170, "MONAI resnet50(bias_downsample=False)", dims=3, in_channels=1, out_channels=2),
)
def resnet50(in_channels: int, out_channels: int, dims: int) -> Graph:
    """3, 4, 6, 3 bottlenecks, 256 to 2048 channels wide."""
    graph = GraphBuilder(in_channels, dims, "batch", "relu")
    return _resnet(graph, out_channels, "bottleneck", (3, 4, 6, 3), (256, 512, 1024, 2048))

"""SegResNet (Myronenko 2018, BrainLes), the segmentation network without the autoencoder."""

from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.parts import bare
from voxnas.arch.reference.registry import SEGMENTATION, Published, network

DOWN, UP = (1, 2, 2, 4), (1, 1, 1)


@network(
    "segresnet",
    "Myronenko 2018, BrainLes",
    SEGMENTATION,
    Published(1_176_186, "MONAI SegResNet (8 filters)", dims=3, in_channels=1, out_channels=2),
    Published(
        4_700_914, "MONAI SegResNet(init_filters=16)", dims=3, in_channels=1, out_channels=2, options={"width": 16}
    ),
)
def segresnet(in_channels: int, out_channels: int, dims: int, width: int = 8) -> Graph:
    """SegResNet from `width` channels: pre-activation blocks with group norm, sums for skips, linear up-sampling."""
    graph = GraphBuilder(in_channels, dims, "group", "relu")

    def blocks(at: str, count: int) -> str:
        for number in range(count):
            path = at
            with graph.scope(f"block.{number}"):
                for _ in range(2):
                    path = bare(graph, graph.add("normalize", path), graph.channels(at))
                at = graph.add("add", (path, at))
        return at

    at, ends = bare(graph, graph.input, width), []
    for stage, count in enumerate(DOWN):
        with graph.scope(f"encoder.{stage}"):
            if stage:
                at = bare(graph, at, width * 2**stage, stride=2)
            at = blocks(at, count)
        ends.append(at)
    for stage, count in reversed(list(enumerate(UP))):
        skip = ends[stage]
        with graph.scope(f"decoder.{stage}"):
            raised = graph.add("upsample", bare(graph, at, graph.channels(skip), 1), stride=2)
            at = blocks(graph.add("add", (graph.add("crop", (raised, skip)), skip)), count)
    with graph.scope("head"):
        return graph.finish(bare(graph, graph.add("normalize", at), out_channels, 1, bias=True))

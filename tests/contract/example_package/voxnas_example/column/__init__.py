"""A family from another package: columns of blocks of one width."""

from voxnas.arch.families import Family
from voxnas.arch.families.description import Description, channels_of, describe_stages
from voxnas.arch.graph import GraphBuilder
from voxnas.arch.layers import total
from voxnas.arch.parts import classify
from voxnas_example.column.record import Column
from voxnas_example.column.space import ColumnSpace


class ColumnFamily(Family[Column]):
    """Networks by depth, width, and the block of each stage behind the first."""

    record = Column
    spaces = (ColumnSpace(),)

    def graph(self, architecture):
        graph = GraphBuilder(architecture.in_channels)
        at = graph.input
        for block, kernel, stride in zip(architecture.blocks, architecture.kernels, architecture.strides, strict=True):
            at = graph.add(block, at, architecture.width, kernel, stride)
        return graph.finish(classify(graph, at, architecture.out_channels), divisor=total(architecture.strides))

    def describe(self, architecture, size):
        depth = len(architecture.blocks)
        stages = describe_stages(
            size, architecture.strides, [architecture.width] * depth, [1] * depth, architecture.blocks
        )
        return Description(tuple(stages), f"a column; {channels_of(architecture)}")


COLUMN = ColumnFamily()

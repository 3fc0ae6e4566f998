"""A family from another package: columns of blocks of one width."""

from voxnas.arch.families import Family
from voxnas_example.column.describe import describe_column
from voxnas_example.column.graph import column_graph
from voxnas_example.column.record import Column
from voxnas_example.column.space import ColumnSpace


class ColumnFamily(Family[Column]):
    """Networks by depth, width, and the block of each stage behind the first."""

    record = Column
    spaces = (ColumnSpace(),)
    graph = staticmethod(column_graph)
    describe = staticmethod(describe_column)


COLUMN = ColumnFamily()

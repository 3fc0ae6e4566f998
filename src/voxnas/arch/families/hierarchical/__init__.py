"""Networks of one stacked cell out of motifs of motifs (Liu et al. 2018)."""

from voxnas.arch.families.base import Family, register
from voxnas.arch.families.hierarchical.describe import describe_hierarchical
from voxnas.arch.families.hierarchical.graph import hierarchical_graph
from voxnas.arch.families.hierarchical.record import Hierarchical
from voxnas.arch.families.hierarchical.space import HierarchicalCNNSpace, HierarchicalUNetSpace


@register
class HierarchicalFamily(Family[Hierarchical]):
    """Stacked motifs of motifs, for all tasks."""

    record = Hierarchical
    spaces = (HierarchicalCNNSpace(), HierarchicalUNetSpace())
    graph = staticmethod(hierarchical_graph)
    describe = staticmethod(describe_hierarchical)

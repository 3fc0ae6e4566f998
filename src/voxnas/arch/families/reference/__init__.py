"""The hand-made networks of :mod:`voxnas.arch.reference`."""

from voxnas.arch.families.base import Family, register
from voxnas.arch.families.reference.graph import reference_graph
from voxnas.arch.families.reference.record import Reference


@register
class ReferenceFamily(Family[Reference]):
    """Networks of the registry at their published sizes."""

    record = Reference
    graph = staticmethod(reference_graph)

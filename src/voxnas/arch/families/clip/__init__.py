"""Networks on clips of frames, for classification and regression."""

from voxnas.arch.families.base import Family, register
from voxnas.arch.families.clip.graph import clip_graph
from voxnas.arch.families.clip.per_frame import without_time
from voxnas.arch.families.clip.record import Clip
from voxnas.arch.families.clip.space import ClipSpace


@register
class ClipFamily(Family[Clip]):
    """Encoders of each frame with operators along time."""

    record = Clip
    spaces = (ClipSpace(),)
    graph = staticmethod(clip_graph)
    without_time = staticmethod(without_time)

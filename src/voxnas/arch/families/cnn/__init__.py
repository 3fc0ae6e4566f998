"""CNNs for classification and regression (Hara et al. 2018; Peng et al. 2021)."""

from voxnas.arch.families.base import Family, register
from voxnas.arch.families.cnn.describe import describe_cnn
from voxnas.arch.families.cnn.graph import cnn_graph
from voxnas.arch.families.cnn.record import CNN
from voxnas.arch.families.cnn.space import CNNSpace


@register
class CNNFamily(Family[CNN]):
    """Encoders with global average pooling."""

    record = CNN
    spaces = (CNNSpace(),)
    graph = staticmethod(cnn_graph)
    describe = staticmethod(describe_cnn)

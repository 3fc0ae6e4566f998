"""U-Nets for segmentation (Cicek et al. 2016; Isensee et al. 2021)."""

from voxnas.arch.families.base import Family, register
from voxnas.arch.families.unet.describe import describe_unet
from voxnas.arch.families.unet.graph import unet_graph
from voxnas.arch.families.unet.record import UNet
from voxnas.arch.families.unet.space import UNetSpace


@register
class UNetFamily(Family[UNet]):
    """Encoder-decoders with skip connections."""

    record = UNet
    spaces = (UNetSpace(),)
    graph = staticmethod(unet_graph)
    describe = staticmethod(describe_unet)

"""Hand-made networks as graphs, one file a family. Importing the package registers them.

All go down by rounding up and cut what comes up to the size of the skip, so that any input size will
do; at sizes that their total stride divides they are the published networks.
"""

from voxnas.core.networks.named import (
    brainnetcnn,
    densenet,
    googlenet,
    mobilenet,
    nnunet,
    resnet,
    segresnet,
    sfcn,
    shufflenet,
    squeezenet,
    unet3d,
    vgg,
    vnet,
)
from voxnas.core.networks.named.registry import NETWORKS, NamedNetwork, Published

__all__ = [
    "NETWORKS",
    "NamedNetwork",
    "Published",
    "brainnetcnn",
    "densenet",
    "googlenet",
    "mobilenet",
    "nnunet",
    "resnet",
    "segresnet",
    "sfcn",
    "shufflenet",
    "squeezenet",
    "unet3d",
    "vgg",
    "vnet",
]

"""Hand-made networks as graphs, one file a family. Importing the package registers them.

All go down by rounding up and cut what comes up to the size of the skip, so that any input size will
do; at sizes that their total stride divides they are the published networks.
"""

from voxnas.arch.reference import (
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
from voxnas.arch.reference.registry import NETWORKS, Published, ReferenceNetwork

__all__ = [
    "NETWORKS",
    "Published",
    "ReferenceNetwork",
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

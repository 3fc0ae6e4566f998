"""Hand-made networks as graphs, one file a family. Importing the package registers them.

Down-sampling rounds sizes up, and up-sampled maps are cropped to the size of the skip, so that the networks accept
inputs of any size. On sizes that the total stride divides they equal the published networks.
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

"""Record of a CNN."""

from typing import Literal

from voxnas.arch.families.staged.record import Headed


class CNN(Headed):
    """Encoder with global average pooling, for classification and regression.

    ``block="residual"`` is a 3D ResNet (Hara et al. 2018); ``block="plain"`` with one block a
    stage, max pooling and a pointwise `head_width` is an SFCN (Peng et al. 2021).
    """

    family: Literal["cnn"] = "cnn"

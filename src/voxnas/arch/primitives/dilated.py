"""Dilated convolution (Yu and Koltun 2016, ICLR, section 2): a wider receptive field at the same cost.

In the paper the dilation grows from layer to layer; here all blocks have the dilation of the option.
"""

from voxnas.arch.primitives.base import primitive
from voxnas.arch.primitives.convolution import Plain


@primitive("dilated")
class Dilated(Plain):
    """One convolution whose kernel takes every `dilation`-th voxel."""

    options = {"dilation": 2}  # noqa: RUF012 - read only

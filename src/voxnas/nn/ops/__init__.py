"""The modules of all primitives, one idea a file. Importing the package registers them."""

from voxnas.nn.ops import convolution, ends, inverted, merge, pool

__all__ = ["convolution", "ends", "inverted", "merge", "pool"]

"""The modules of all primitives, one idea a file. Importing the package registers them."""

from voxnas.nn.ops import convolution, ends, excite, inverted, merge, pool

__all__ = ["convolution", "ends", "excite", "inverted", "merge", "pool"]

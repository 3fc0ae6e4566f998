"""All primitives, one idea a file: what each gives and costs. Importing the package registers them."""

from voxnas.core.primitives import convolution, ends, inverted, merge, pool

__all__ = ["convolution", "ends", "inverted", "merge", "pool"]

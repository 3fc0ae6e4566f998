"""All primitives, one idea a file: what each gives and costs. Importing the package registers them."""

from voxnas.core.primitives import convolution, ends, excite, inverted, merge, pool

__all__ = ["convolution", "ends", "excite", "inverted", "merge", "pool"]

"""The modules of all primitives, one idea a file. Importing the package registers them."""

from voxnas.nn.ops import (
    convolution,
    dilated,
    ends,
    excite,
    factorised,
    ghost,
    identity,
    inverted,
    large_kernel,
    merge,
    pool,
    preact,
    separable,
    zero,
)

__all__ = [
    "convolution",
    "dilated",
    "ends",
    "excite",
    "factorised",
    "ghost",
    "identity",
    "inverted",
    "large_kernel",
    "merge",
    "pool",
    "preact",
    "separable",
    "zero",
]

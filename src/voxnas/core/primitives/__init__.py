"""All primitives, one idea a file: what each gives and costs. Importing the package registers them."""

from voxnas.core.primitives import (
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

"""Derivation of all random seeds from one root seed by name."""

import hashlib


def derive_seed(root: int, *names: str | int) -> int:
    """Derive a seed in [0, 2**31) from the root seed and a sequence of names.

    Examples
    --------
    >>> derive_seed(0, "trial", 3) == derive_seed(0, "trial", 3)
    True
    >>> derive_seed(0, "trial", 3) == derive_seed(0, "trial", 4)
    False
    """
    text = "/".join([str(root), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & 0x7FFFFFFF

"""Canonical JSON: equal data gives equal bytes and equal digests."""

import hashlib
import json
from typing import Any


def canonical_json(data: Any) -> str:
    """Write plain data with sorted keys, no spaces and no NaN.

    Raises
    ------
    ValueError
        If the data contains NaN or infinity.
    TypeError
        If the data contains a type that JSON lacks (a NumPy scalar, a set).
    """
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def digest(data: Any, length: int = 12) -> str:
    """SHA-256 of :func:`canonical_json`, as the first `length` hexadecimal digits."""
    return hashlib.sha256(canonical_json(data).encode()).hexdigest()[:length]

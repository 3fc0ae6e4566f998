"""Voxnas: small, fast, accurate networks for 3D and 4D brain images, with proof.

The functions of :mod:`voxnas.api` are attributes of this package, imported on first access (PEP 562).
The name ``search`` belongs to the package of the strategies, so that the function is :func:`voxnas.api.run_search`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxnas.api import Model, Study, build, cost, fit, load_model, load_space, prepare, run_search

__version__ = "0.1.0"
__all__ = ["Model", "Study", "build", "cost", "fit", "load_model", "load_space", "prepare", "run_search"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'voxnas' has no attribute {name!r}")
    return getattr(import_module("voxnas.api"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

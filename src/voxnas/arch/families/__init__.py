"""Families of architectures, one folder each. Importing the package registers them.

The ``__init__`` of a folder registers a :class:`~voxnas.arch.families.base.Family`, which expands and describes its
architectures; longer records and search spaces are modules beside it. `staged` and `stacked` are not families but parts
that several families share: stages of blocks, and skeletons of stacked cells.
"""

import importlib
import pkgutil

from voxnas.arch.families.base import FAMILIES, Family, expand, family_of, list_layers, register

__all__ = ["FAMILIES", "Family", "expand", "family_of", "list_layers", "register"]

for _module in pkgutil.iter_modules(__path__):
    if _module.ispkg:
        importlib.import_module(f"{__name__}.{_module.name}")

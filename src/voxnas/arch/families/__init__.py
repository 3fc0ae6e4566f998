"""Families of architectures, one folder each. Importing the package registers them.

A folder holds the record, the graph, the search space and the description of a family, and its ``__init__`` enters them
as one :class:`~voxnas.arch.families.base.Family`. `staged` and `stacked` are no families but the parts that several
share: stages of blocks, and skeletons of stacked cells.
"""

import importlib
import pkgutil

from voxnas.arch.families.base import FAMILIES, Family, expand, family_of, list_layers, register

__all__ = ["FAMILIES", "Family", "expand", "family_of", "list_layers", "register"]

for _module in pkgutil.iter_modules(__path__):
    if _module.ispkg:
        importlib.import_module(f"{__name__}.{_module.name}")

"""Families of search spaces, one idea a file. Importing the package registers them."""

from voxnas.core.spaces import clip, macro
from voxnas.core.spaces.base import FAMILIES, Family

__all__ = ["FAMILIES", "Family", "clip", "macro"]

"""Families of search spaces, one idea a file. Importing the package registers them."""

from voxnas.arch.spaces import cells, clip, hierarchical, macro, matrix
from voxnas.arch.spaces.base import FAMILIES, Family

__all__ = ["FAMILIES", "Family", "cells", "clip", "hierarchical", "macro", "matrix"]

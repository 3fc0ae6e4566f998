"""Voxnas: small, fast, accurate networks for 3D and 4D brain images, with proof."""

__version__ = "0.1.0"

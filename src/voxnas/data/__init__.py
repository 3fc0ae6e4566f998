"""Scans: indexing, preprocessing, splits and the arrays that networks see."""

"""Skeletons of stacked cells: the parts that networks of cells and of motifs share."""

"""Scores on the locked test split, and their statistics."""

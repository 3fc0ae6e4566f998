"""Scores on the locked test split and what can be said of them."""

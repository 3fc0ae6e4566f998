"""A primitive and a family from another package."""

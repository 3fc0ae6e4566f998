"""A primitive from another package."""

"""The samples that a training sees, and their order."""

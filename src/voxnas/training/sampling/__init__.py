"""The samples of a training and their order."""

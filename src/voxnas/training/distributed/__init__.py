"""Backends of the training loop with one protocol."""

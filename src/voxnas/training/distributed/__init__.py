"""Backends of the training loop behind one small protocol."""

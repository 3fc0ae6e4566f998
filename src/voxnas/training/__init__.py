"""Training: one loop, its backends, its store."""

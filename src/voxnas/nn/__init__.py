"""Networks built from architecture records."""

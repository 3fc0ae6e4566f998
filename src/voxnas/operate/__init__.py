"""A running study: what it does, where its jobs go, how it is resumed."""

"""What a network is, without torch: records, graphs, primitives, search spaces."""

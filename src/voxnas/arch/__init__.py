"""Networks as data, without torch: records, graphs, primitives, search spaces."""

"""Cost of networks: analytic, predicted and measured; placement on unequal nodes."""

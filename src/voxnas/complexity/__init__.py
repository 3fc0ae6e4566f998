"""What a network costs: analytic, measured and predicted."""

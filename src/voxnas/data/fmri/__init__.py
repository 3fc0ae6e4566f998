"""From a run (BOLD) to clean time series, their views and their quality."""

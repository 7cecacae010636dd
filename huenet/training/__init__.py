"""Training runs: the loop, checkpoints, many processes, metrics."""

"""Benchmarks of the operators: `make bench`, or `python -m pytest bench --benchmark-enable`."""

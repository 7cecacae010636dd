"""Functions and modules of other libraries, by their names, with their signatures and their numbers, from huenet's operators.

A module for each library; importing one needs nothing of that library. What equals what, and what differs: docs/compat.md.
"""

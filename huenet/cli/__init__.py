"""The command line."""

from .arguments import main

__all__ = ["main"]

"""Metrics of image translation, gathered over batches and processes.

    metric = NormalizedMutualInformation(bins=64)
    for source, output in batches:
        metric.update(source, output)
    print(metric.compute())

They are metrics of torchmetrics where that is installed, and have its interface where it is not: `update`, `compute`, `reset`,
calling them, `to`, `state_dict`. `hue` has the functions that `huenet evaluate` uses, of pairs of pictures.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .pairs import HueEMD, HueMutualInformation, NormalizedMutualInformation, RelativeMutualInformation

__all__ = ["HueEMD", "HueMutualInformation", "NormalizedMutualInformation", "RelativeMutualInformation"]


def __getattr__(name: str) -> Any:
    """When first asked for, as torchmetrics takes a second to import, and who wants `hue` only needs none of it."""
    if name in __all__:
        return getattr(importlib.import_module(".pairs", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

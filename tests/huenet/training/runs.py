"""What training runs leave behind, as the tests look at it."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import torch

from huenet.training import checkpoint


def rows(out: Path) -> list[dict[str, str]]:
    """The metrics of a run's logged steps."""
    with (out / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def timeless(out: Path) -> list[dict[str, str]]:
    """The same without the columns that no two runs share."""
    return [{name: value for name, value in row.items() if name not in ("images_per_second", "mfu")} for row in rows(out)]


def weights(out: Path) -> dict[str, torch.Tensor]:
    """All tensors of a run's checkpoint."""
    return checkpoint.read(out / "checkpoint.safetensors", "training")[0]


def assert_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    """Two state dictionaries are the same, bit for bit."""
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert not different


def profiled(out: Path) -> dict[str, tuple[float, float]]:
    """Of profile.md: milliseconds and per cent by part."""
    found = re.findall(r"^\| (\w+) \| ([\d.]+) ms \| ([\d.]+)% \|$", (out / "profile.md").read_text(), re.MULTILINE)
    return {part: (float(time), float(share)) for part, time, share in found}

"""The README's Python examples run as they stand."""

from __future__ import annotations

import re

import pytest
import torch

from tests.paths import REPOSITORY

EXAMPLES = re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def names() -> dict[str, torch.Tensor]:
    """What the examples take as given."""
    images = {name: torch.rand(2, 1, 16, 16) for name in ("output_hue", "target_hue", "source_hue")}
    images |= {name: torch.rand(2, 3, 24, 24) for name in ("output_image", "target_image", "source_image")}
    pixels = {name: torch.rand(2, 256) for name in ("output", "target", "source", "saturation")}
    return {name: value.requires_grad_(name.startswith("output")) for name, value in (images | pixels).items()}


@pytest.mark.parametrize("example", [example for example in EXAMPLES if "huenet.load" not in example])
def test_examples_run(example: str) -> None:
    given = names()
    exec(example, given)
    if "loss" in given:
        given["loss"].backward()
    assert any(given[name].grad is not None and given[name].grad.any() for name in ("output", "output_hue", "output_image"))


def test_there_are_examples():
    assert len(EXAMPLES) >= 3

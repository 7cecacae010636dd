"""The Python examples of README and of the page on losses run as they stand."""

from __future__ import annotations

import re

import pytest
import torch

from tests.paths import REPOSITORY

PAGES = ("README.md", "docs/losses.md")
EXAMPLES = [
    example
    for page in PAGES
    for example in re.findall(r"```python\n(.*?)```", (REPOSITORY / page).read_text(encoding="utf-8"), re.DOTALL)
]


def names() -> dict[str, torch.Tensor]:
    """What the examples take as given."""
    images = {name: torch.rand(2, 1, 16, 16) for name in ("output_hue", "target_hue", "source_hue")}
    images |= {name: torch.rand(2, 3, 24, 24) for name in ("output_image", "target_image", "source_image")}
    pixels = {name: torch.rand(2, 256) for name in ("output", "target", "source", "saturation")}
    return {name: value.requires_grad_(name.startswith("output")) for name, value in (images | pixels).items()}


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_run(example: str) -> None:
    given = names()
    exec(example, given)
    if "loss" in given:
        given["loss"].backward()
    assert any(given[name].grad is not None and given[name].grad.any() for name in ("output", "output_hue", "output_image"))


def test_there_are_examples():
    assert len(EXAMPLES) >= 6


def test_readme_stays_one_page():
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


PROMISES = re.findall(r"\| `(tests/[\w/]+\.py)::(\w+)` \|\n", (REPOSITORY / "docs" / "promises.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path, name", PROMISES)
def test_promises_are_held_by_tests(path: str, name: str) -> None:
    assert re.search(rf"^def {name}\(", (REPOSITORY / path).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_promise_names_its_test():
    rows = [
        line for line in (REPOSITORY / "docs" / "promises.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")
    ]
    assert len(rows) - 3 == len(PROMISES) > 30  # but for the heads of three tables

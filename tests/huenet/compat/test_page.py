"""The examples of docs/compat.md run as they stand."""

from __future__ import annotations

import importlib.util
import re

import pytest
import torch

from tests.paths import REPOSITORY

PAGE = (REPOSITORY / "docs" / "compat.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_every_section_has_an_example_and_ends_it():
    assert PAGE.count("```") % 2 == 0
    sections = PAGE.split("\n## ")[1:]
    assert len(sections) == 6 and all(section.count("```python") == 1 for section in sections)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: re.search(r"compat\.(\w+)", example)[1])
def test_examples_run(example):
    images = {name: torch.rand(2, 3, 12, 12) for name in ("output_image", "target_image", "generated_image", "image")}
    features = {name: torch.rand(2, 8, 5, 5) for name in ("output_features", "target_features")}
    volumes = {name: torch.rand(1, 1, 18, 18, 18) for name in ("pred", "target", "y_true", "y_pred")}
    signals = {"x": torch.rand(1, 500), "y": torch.rand(1, 500), "input": torch.rand(1, 500)}
    if "kornia" in example:
        volumes["target"] = torch.rand(1, 500)
    if "voxelmorph" in example:
        signals |= {name: torch.rand(1, 18, 18, 18, 1) for name in "xy"}
    if importlib.util.find_spec("torchvision") is None:
        example = "".join(line for line in example.splitlines(keepends=True) if "use_vgg=True" not in line)
    settings = {"bin_centers": torch.linspace(0, 1, 8), "vol_size": (18, 18, 18), "torch": torch}
    exec(example, images | features | volumes | signals | settings)

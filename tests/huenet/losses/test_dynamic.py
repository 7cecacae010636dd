"""Losses and operators under torch.compile with sizes that are not known beforehand, without a break."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from huenet.kernels import (
    Bins,
    contextual_similarity,
    harmonic_energy,
    histogram_emd,
    mutual_information,
    patch_histogram,
    soft_histogram,
    squared_emd,
)
from huenet.losses import ContextualLoss, HarmonicLoss, HueNetLoss, StructureConsistencyLoss

BINS, TRIANGULAR = Bins(64), Bins(16, window="triangular")
HUE = HueNetLoss(16, adversarial_weight=0.0, smoothness_weight=1.0, faint=(0.1, 0.9))
TARGET = torch.full((2, 3, 64), 1 / 64)


def _points(image: Tensor) -> Tensor:
    return image.flatten(2).mT[:, :50]


FUNCTIONS = {
    "hue": lambda a, b: HUE(a[:, :1], b[:, :1], b[:, 1:2], output_weights=b[:, 2:]).total,
    "structure": StructureConsistencyLoss(),
    "contextual": ContextualLoss(),
    "harmonic": HarmonicLoss(),
    "soft histogram": lambda a, b: soft_histogram(a.flatten(2), BINS).square().sum(),
    "information": lambda a, b: mutual_information(a.flatten(2), b.flatten(2), BINS).relative.sum(),
    "distance": lambda a, b: histogram_emd(a.flatten(2), TARGET, BINS).sum(),
    "squared distance": lambda a, b: squared_emd(a.flatten(2), b.flatten(2)).sum(),
    "patches": lambda a, b: patch_histogram(a, TRIANGULAR, patch=8).square().sum(),
    "energy": lambda a, b: harmonic_energy(_points(a), _points(b), sigma=1.0).sum(),
    "similarity": lambda a, b: contextual_similarity(_points(a), _points(b)).sum(),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_dynamic_shapes(name: str) -> None:
    torch._dynamo.reset()
    function = FUNCTIONS[name]
    compiled = torch.compile(function, fullgraph=True, dynamic=True, backend="aot_eager")
    for height in (32, 48):
        source, other = torch.rand(2, 2, 3, height, 40).unbind()
        source.requires_grad_()
        (slope,) = torch.autograd.grad(compiled(source, other), source)
        (expected,) = torch.autograd.grad(function(source, other), source)
        torch.testing.assert_close(slope, expected)

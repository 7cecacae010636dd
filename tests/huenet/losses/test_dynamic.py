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
    squared_mutual_information,
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


SETTINGS = {
    "bandwidth of bins": (lambda x, value: soft_histogram(x, Bins(20, bandwidth=value)), 0.5, 0.7),
    "range of bins": (lambda x, value: mutual_information(x, x.flip(-1), Bins(20, 0, value)).relative, 1.1, 1.7),
    "number of bins": (lambda x, value: histogram_emd(x, torch.zeros(value), value), 10, 12),
    "sigma": (lambda x, value: squared_mutual_information(x, x.flip(-1), sigma=value), 1.0, 1.5),
    "centers": (lambda x, value: squared_mutual_information(x, x.flip(-1), centers=value), 4, 5),
    "sigma of energy": (lambda x, value: harmonic_energy(x[..., None], x[..., None], sigma=value), 0.5, 0.7),
    "bandwidth of points": (lambda x, value: contextual_similarity(x[..., None], x[..., None] + 1, bandwidth=value), 0.5, 0.7),
    "size of patches": (lambda x, value: patch_histogram(x.view(1, 2, 5, 10), 8, patch=value), 3, 4),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_are_arguments(name: str) -> None:
    """torch.compile(dynamic=True) traces numbers as symbols."""
    torch._dynamo.reset()
    function, *values = SETTINGS[name]
    compiled = torch.compile(function, fullgraph=True, dynamic=True, backend="aot_eager")
    x = torch.rand(2, 50, generator=torch.Generator().manual_seed(0))
    for value in values:
        torch.testing.assert_close(compiled(x, value), function(x, value))

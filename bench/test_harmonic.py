"""Forward and backward of HarmonicGAN's operators: energy against `torch.cdist`, patch histograms against the dense formula.

N = 3,969 is an image of 256 x 256 pixels in patches of 8 x 8, 4 apart; 48 components are 16 bins in three channels. The dense
reference of the energy would take N x N x D, 3 GB a tensor, so what stands against it is the usual formulation by autograd. Each
case first checks its result and gradients against float64.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.memory import peak_memory
from huenet.kernels import harmonic_energy, patch_histogram

POINTS, DIMENSION, SIGMA, SIDE, BINS = 3969, 48, 2.0, 256, 16
#: float32 sums of 16 million pairs against float64: the bound the operators are held to
TOLERANCE = 2e-6


def by_cdist(features: Tensor, outputs: Tensor) -> Tensor:
    return (torch.exp(-torch.cdist(features, features, p=1) / SIGMA**2) * torch.cdist(outputs, outputs, p=1)).mean()


ENERGIES = {"cdist": by_cdist, "torch": lambda f, a: harmonic_energy(f, a, sigma=SIGMA, backend="torch")}


def relative_error(actual: Tensor, expected: Tensor) -> float:
    return ((actual.double() - expected).norm() / expected.norm()).item()


def energy(function, dtype: torch.dtype, needs: str) -> list[Tensor]:
    """The energy, and the gradients of both arguments or of the outputs only."""
    f, a = torch.rand(2, POINTS, DIMENSION, generator=torch.Generator().manual_seed(0)).to(dtype)
    leaves = [x.requires_grad_() for x in ((f, a) if needs == "both" else (a,))]
    result = function(f, a)
    return [result.detach(), *torch.autograd.grad(result, leaves)]


def histograms(backend: str, dtype: torch.dtype, stride: int) -> list[Tensor]:
    x = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
    result = patch_histogram(x, BINS, stride=stride, backend=backend)
    upstream = torch.randn(result.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    return [result.detach(), *torch.autograd.grad(result, x, upstream)]


def measure(benchmark, group: str, backend: str, call, expected: list[Tensor], rounds: int) -> None:
    error = max(relative_error(*both) for both in zip(call(), expected, strict=True))
    assert error <= TOLERANCE
    benchmark.group = group
    benchmark.extra_info.update(backend=backend, error=error, peak_bytes=peak_memory(call))
    benchmark.pedantic(call, warmup_rounds=1, rounds=rounds)


@pytest.mark.parametrize("backend", list(ENERGIES))
@pytest.mark.parametrize("needs", ["both", "outputs"])
def test_harmonic_energy(benchmark, needs, backend):
    call = lambda: energy(ENERGIES[backend], torch.float32, needs)  # noqa: E731
    expected = energy(ENERGIES["torch"], torch.float64, needs)
    group = f"harmonic_energy, forward + backward ({needs}), N = {POINTS}, D = E = {DIMENSION}"
    measure(benchmark, group, backend, call, expected, rounds=5)


# at stride 1 the dense formula would take several tensors of 0.8 GB
@pytest.mark.parametrize("stride, backend", [(8, "reference"), (8, "torch"), (4, "reference"), (4, "torch"), (1, "torch")])
def test_patch_histogram(benchmark, stride, backend):
    call = lambda: histograms(backend, torch.float32, stride)  # noqa: E731
    expected = histograms("torch" if stride == 1 else "reference", torch.float64, stride)
    group = f"patch_histogram, forward + backward, {SIDE} x {SIDE} x 3, K = {BINS}, stride {stride}"
    measure(benchmark, group, backend, call, expected, rounds=5)

"""Forward and backward of the histogram operators on one 256 x 256 pair, K = 256: dense reference against block-sparse torch.

Each case first checks its backend's result and gradient against float64, so that no speed is shown for wrong numbers.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.memory import peak_memory
from huenet.kernels import Bins, joint_histogram, mutual_information, soft_histogram

SIDE, BINS = 256, Bins(256)
#: float32 sums of 65,536 terms against float64: the bound the operators are held to
TOLERANCE = 2e-6

OPERATORS = {
    "soft_histogram": lambda x, y, backend: soft_histogram(x, BINS, backend=backend),
    "joint_histogram": lambda x, y, backend: joint_histogram(x, y, BINS, backend=backend),
    "mutual_information": lambda x, y, backend: mutual_information(x, y, BINS, backend=backend).relative,
}


def pair(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Two dependent images of uniform noise."""
    generator = torch.Generator().manual_seed(0)
    x, noise = torch.rand(2, SIDE * SIDE, generator=generator)
    x, y = torch.stack([x, (x + 0.1 * noise) / 1.1]).to(dtype)
    return x.requires_grad_(), y.requires_grad_()


def forward_backward(operator: str, backend: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    x, y = pair(dtype)
    result = OPERATORS[operator](x, y, backend)
    upstream = torch.randn(result.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    result.backward(upstream)
    return result.detach(), x.grad


def relative_error(actual: Tensor, expected: Tensor) -> float:
    return ((actual.double() - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize("operator", list(OPERATORS))
def test_forward_backward(benchmark, operator, backend):
    expected = forward_backward(operator, "reference", torch.float64)
    errors = [relative_error(*both) for both in zip(forward_backward(operator, backend, torch.float32), expected, strict=True)]
    assert max(errors) <= TOLERANCE
    benchmark.group = f"{operator}, forward + backward, {SIDE} x {SIDE}, K = {BINS.count}"
    benchmark.extra_info.update(backend=backend, error=max(errors))
    call = lambda: forward_backward(operator, backend, torch.float32)  # noqa: E731
    benchmark.extra_info["peak_bytes"] = peak_memory(call)
    benchmark.pedantic(call, warmup_rounds=2, rounds=5 if backend == "reference" else 25)

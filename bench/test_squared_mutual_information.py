"""Forward and backward of rSMI on one 256 x 256 RGB pair: the published formulation, the dense reference, and one pass in float64.

Each case first checks its result and gradient against float64, so that no speed is shown for wrong numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bench.memory import peak_memory
from bench.published_rsmi import published_rsmi
from huenet.kernels import squared_mutual_information

SIDE, CHANNELS = 256, 3
PROVIDERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "published": published_rsmi,
    "reference": lambda x, y: squared_mutual_information(x, y, sign=1, backend="reference"),
    "torch": lambda x, y: squared_mutual_information(x, y, sign=1),
}
#: rounding of float32 comes back 2^18 times, the condition of the system, but for averaging (measured 1e-4); float64 does not show
TOLERANCES = {"published": 1e-3, "reference": 1e-3, "torch": 2.0**-24}


@functools.cache
def pair(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Two dependent images of uniform noise."""
    x, noise = torch.rand(2, 1, CHANNELS * SIDE * SIDE, generator=torch.Generator().manual_seed(0))
    return (2 * x - 1).to(dtype), ((2 * x + 0.6 * noise) / 1.3 - 1).to(dtype)


def forward_backward(provider: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    x, y = (image.detach().requires_grad_() for image in pair(dtype))
    result = PROVIDERS[provider](x, y)
    result.backward(torch.ones_like(result))
    return result.detach(), y.grad


def relative_error(actual: Tensor, expected: Tensor) -> float:
    return ((actual.double() - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("provider", list(PROVIDERS))
def test_forward_backward(benchmark, provider):
    expected = forward_backward("torch", torch.float64)
    errors = [relative_error(*both) for both in zip(forward_backward(provider, torch.float32), expected, strict=True)]
    assert max(errors) <= TOLERANCES[provider]
    benchmark.group = f"squared_mutual_information, forward + backward, {SIDE} x {SIDE} x {CHANNELS}"
    benchmark.extra_info.update(backend=provider, error=max(errors))
    call = lambda: forward_backward(provider, torch.float32)  # noqa: E731
    benchmark.extra_info["peak_bytes"] = peak_memory(call)
    benchmark.pedantic(call, warmup_rounds=1, rounds=15 if provider == "torch" else 3)

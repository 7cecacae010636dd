"""Forward and backward of the contextual similarity of two sets of 4,096 points of 256 channels: dense reference against torch.

"random" points are unrelated, and many rows win no column; of "moved" ones, y in another order and noisy, all rows win, so that
none is left out. Each case first checks its result and gradients against float64.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.memory import peak_memory
from huenet.kernels import contextual_similarity

POINTS, CHANNELS = 4096, 256
#: twice what the dense reference errs by in float32, 3.5e-6: exponents divide rounded distances by h = 0.5 and a minimum of 0.15
TOLERANCE = 7e-6


def points(kind: str) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    y, noise = torch.randn(2, POINTS, CHANNELS, generator=generator)
    return (noise if kind == "random" else y[torch.randperm(POINTS, generator=generator)] + noise), y


def forward_backward(x: Tensor, y: Tensor, both: bool, backend: str) -> list[Tensor]:
    """The loss and its gradients; inputs are not copied."""
    leaves = [x.detach().requires_grad_(), y.detach().requires_grad_(both)]
    loss = -contextual_similarity(*leaves, backend=backend).log()
    loss.backward()
    return [loss.detach(), *(leaf.grad for leaf in leaves if leaf.requires_grad)]


def relative_error(actual: Tensor, expected: Tensor) -> float:
    return ((actual.double() - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize("both", [False, True], ids=["gradient of x", "gradients of x and y"])
@pytest.mark.parametrize("kind", ["random", "moved"])
def test_forward_backward(benchmark, kind, both, backend):
    x, y = points(kind)
    expected = forward_backward(x.double(), y.double(), both, "torch")
    errors = [relative_error(*pair) for pair in zip(forward_backward(x, y, both, backend), expected, strict=True)]
    assert max(errors) <= TOLERANCE
    benchmark.group = f"contextual, N = {POINTS}, C = {CHANNELS}, {kind}, {'x and y' if both else 'x'}"
    benchmark.extra_info.update(backend=backend, error=max(errors))
    call = lambda: forward_backward(x, y, both, backend)  # noqa: E731
    benchmark.extra_info["peak_bytes"] = peak_memory(call)
    benchmark.pedantic(call, warmup_rounds=1, rounds=5)

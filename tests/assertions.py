"""How tests compare tensors: by relative Euclidean error, with a message that tells what went wrong and where."""

from __future__ import annotations

import torch
from torch import Tensor


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """|actual - expected| / |expected| in float64, Euclidean norms; absolute where expected is 0."""
    actual, expected = actual.detach().double(), expected.detach().double()
    scale = expected.norm().item()
    return (actual - expected).norm().item() / (scale or 1.0)


def assert_close(actual: Tensor, expected: Tensor, tolerance: float, what: str = "result") -> None:
    """Shapes equal, everything finite, and the relative error within tolerance."""
    assert actual.shape == expected.shape, f"{what}: shape {tuple(actual.shape)}, expected {tuple(expected.shape)}"
    assert bool(actual.isfinite().all()), f"{what}: {int((~actual.isfinite()).sum())} values are not finite"
    error = relative_error(actual, expected)
    if error > tolerance:
        a, e = actual.detach().double().flatten(), expected.detach().double().flatten()
        worst = int((a - e).abs().argmax())
        cosine = torch.nn.functional.cosine_similarity(a, e, dim=0).item()
        raise AssertionError(
            f"{what}: relative error {error:.2e} above {tolerance:.2e}; cosine {cosine:.9f}, mean difference {(a - e).mean():.2e}, "
            f"worst at {worst} of {a.numel()}: {a[worst]:.9g}, expected {e[worst]:.9g}"
        )


def assert_gradients_close(actual: list[Tensor], expected: list[Tensor], tolerance: float, names: str = "x y weights") -> None:
    """As `assert_close` for every gradient, none of which may be all zero in what is expected: that would test nothing."""
    assert len(names.split()) >= len(expected)
    for (a, e), name in zip(zip(actual, expected, strict=True), names.split()):
        assert bool(e.any()), f"the expected gradient of {name} is zero: the case tests nothing"
        assert_close(a, e, tolerance, f"gradient of {name}")

"""Samples for the interpreter, in few tiles, and how its results are compared."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.assertions import assert_close, assert_gradients_close
from tests.kernels.strategies import gradients

#: sums of some hundred float64 terms, and windows cut at 2^-53
EXACT = 1e-12
#: a distance of at most 17 bins is rounded to 2^-24 of itself, over a bandwidth of 0.4 a relative 2.5e-6 at the farthest bins and a
#: tenth of that where a response matters; exponentials, reciprocals and sums add a few 2^-24
SINGLE = 2e-6


def clustered(count: int, seed: int = 0, rows: int = 1) -> Tensor:
    """Samples in three clusters; the last ones lie at 0 and 1, just outside, far outside, and beyond any image."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(rows, count, generator=generator, dtype=torch.float64) * 0.03
    x += torch.tensor([0.02, 0.52, 0.96], dtype=torch.float64)[torch.randint(3, (rows, count), generator=generator)]
    special = torch.tensor([0.0, 1.0, -0.01, 1.02, -0.98, 1.97, -7.0, 9.0], dtype=torch.float64)
    x[:, count - min(len(special), count) :] = special[: min(len(special), count)]
    return x


def votes(count: int, rows: int = 1) -> Tensor:
    return torch.rand(rows, count, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def check(function, inputs: list[Tensor], single_image=None, condition: float = 1.0) -> None:
    """function(backend) on inputs: value and gradients of `triton` against `reference` in float64.

    The relative error is at most EXACT for float64 and SINGLE for float32; where the formula itself magnifies rounding (log J of
    near-empty cells, slopes that nearly cancel), twice that of `reference` in float32. Where the images of a sample at the boundary
    nearly cancel, as with few bins, `single_image` is the function without boundary, to whose gradients errors are relative.
    `condition` is how much more than the inputs a result may change.
    """
    names = "x y weights" if len(inputs) == 3 else "x weights"
    actual = gradients(function("triton"), inputs)
    doubles = [tensor.double() for tensor in inputs]
    expected = gradients(function("reference"), doubles)
    if inputs[0].dtype == torch.float64:
        assert_close(actual[0], expected[0], EXACT)
        assert_gradients_close(actual[1], expected[1], EXACT, names)
        return
    same = gradients(function("reference"), inputs)
    scales = gradients(single_image("reference"), doubles) if single_image else expected
    for a, e, s, scale, name in zip(*([z[0], *z[1]] for z in (actual, expected, same, scales)), ("result", *names.split())):
        assert bool(scale.any()), f"the expected {name} is zero: the case tests nothing"
        # three images at most are near enough to matter, and each is rounded by itself
        allowed = SINGLE * condition * max(e.norm().item(), 3 * scale.norm().item() if single_image else 0)
        allowed = max(allowed, 2 * (s.double() - e).norm().item())
        error = (a.double() - e).norm().item()
        assert a.shape == e.shape and error <= allowed, f"{name}: error {error:.2e} above {allowed:.2e}, of {e.norm():.2e}"

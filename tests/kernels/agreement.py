"""How a backend's results are compared with the reference's in float64, wherever it runs."""

from __future__ import annotations

import torch
from torch import Tensor

from huenet.kernels.common.cases import Cases, Settings
from tests.assertions import assert_close, assert_gradients_close
from tests.kernels.strategies import gradients

#: sums of some hundred float64 terms, and windows cut at 2^-53
EXACT = 1e-12
#: a distance of at most 17 bins is rounded to 2^-24 of itself, over a bandwidth of 0.4 a relative 2.5e-6 at the farthest bins and a
#: tenth of that where a response matters; exponentials, reciprocals and sums add a few 2^-24
SINGLE = 2e-6


def check(function, inputs: list[Tensor], single_image=None, condition: float = 1.0, names: str | None = None) -> None:
    """function(backend) on inputs: value and gradients of `triton` against `reference` in float64.

    The relative error is at most EXACT for float64 and SINGLE for float32; where the formula itself magnifies rounding (log J of
    near-empty cells, slopes that nearly cancel), twice that of `reference` in float32. Where the images of a sample at the boundary
    nearly cancel, as with few bins, `single_image` is the function without boundary, to whose gradients errors are relative.
    `condition` is how much more than the inputs a result may change.
    """
    names = names or ("x y weights" if len(inputs) == 3 else "x weights")
    actual = gradients(function("triton"), inputs)
    doubles = [tensor.double() for tensor in inputs]
    expected = gradients(function("reference"), doubles)
    if inputs[0].dtype == torch.float64:
        assert_close(actual[0], expected[0], EXACT * condition)
        assert_gradients_close(actual[1], expected[1], EXACT * condition, names)
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


def check_case(cases: Cases, settings: Settings, inputs: list[Tensor], backend: str | None = "triton") -> None:
    """`check` of an operator in one of its cases; `backend` None tests that it is the default."""

    def call(settings: Settings):
        return lambda name: lambda *given: cases.run(list(given), backend if name == "triton" else name, settings)

    scaled = cases.scale(settings)
    condition = cases.condition([tensor.double() for tensor in inputs], settings)
    names = " ".join(given.name for given in cases.chosen(settings))
    check(call(settings), inputs, call(scaled) if scaled is not settings else None, condition, names)

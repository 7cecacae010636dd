"""How a backend's results are compared with the reference's in float64, wherever it runs."""

from __future__ import annotations

from collections.abc import Callable

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


def check_not_finite(cases: Cases, settings: Settings, backend: str, size: int) -> None:
    """NaN and infinities in one input of all rows but the first: `backend` and the reference are NaN and infinite in the same
    places, all gradients of a row whose result is not finite are NaN, and the first row is as if nothing had happened."""
    if settings.get("distance") == "cosine":
        settings = {**settings, "center": "sample"}  # a mean over the batch has every row know of every other
    values = torch.tensor([torch.nan, torch.inf, -torch.inf])
    inputs = cases.draw(settings, size, rows=1 + len(values), dtype=torch.float32)
    call = lambda backend: lambda *given: cases.run(list(given), backend, settings)  # noqa: E731
    kept, kept_grads = gradients(call(backend), inputs)
    for number, given in enumerate(cases.chosen(settings)):
        spoilt = [tensor.clone() for tensor in inputs]
        spoilt[number].flatten(1)[1:, 3 % spoilt[number][0].numel()] = values
        result, grads = gradients(call(backend), spoilt)
        expected, expected_grads = gradients(call("reference"), spoilt)
        results_are_rows = result[0].dim() < 2 or cases.name == "joint_histogram"  # else they are patches
        names = ["result", *(f"gradient of {chosen.name}" for chosen in cases.chosen(settings))]
        for name, a, e, k in zip(names, (result, *grads), (expected, *expected_grads), (kept, *kept_grads)):
            where = f"{cases.name}, {given.name} not finite: {name}"
            assert torch.equal(kinds(a), kinds(e)), f"{where}: {kinds(a).tolist()}, expected {kinds(e).tolist()}"
            assert torch.equal(a[0], k[0]), f"{where}: the other row changes"
            for row in range(1, len(result) if results_are_rows and a is not result else 0):
                assert result[row].isfinite().all() or a[row].isnan().all(), f"{where}: a row is NaN in part"


def check_far_from_the_origin(
    similarity: Callable[[Tensor, Tensor], Tensor], places: list[float], apart: float, count: int
) -> None:
    """float32 points `apart` from each other, at each of the places: similarity and gradients against float64's of the same points.

    Differences of neighbours are exact. A squared distance is a sum of C = 8 squares, right to C + 2 roundings, and so is the
    minimum that it is divided by; p matters where the exponent is at most 20 or so; the gradient has two such factors more.
    """
    generator = torch.Generator().manual_seed(0)
    x, y = (
        torch.cat([place + apart * torch.randn(1, count, 8, generator=generator) for place in places], 1) for _ in range(2)
    )  # fmt: skip
    value, slopes = gradients(similarity, [x, y])
    expected, expected_slopes = gradients(similarity, [x.double(), y.double()])
    bound = 20 * 2 * 10 * 2.0**-24
    assert_close(value, expected, bound)
    assert_gradients_close(slopes, expected_slopes, 3 * bound, "x y")


def kinds(values: Tensor) -> Tensor:
    """0 for a finite value, 1 and -1 for infinities, 2 for NaN."""
    return torch.where(values.isnan(), 2, torch.where(values.isinf(), values.sign(), 0))


def check_case(cases: Cases, settings: Settings, inputs: list[Tensor], backend: str | None = "triton") -> None:
    """`check` of an operator in one of its cases; `backend` None tests that it is the default."""

    def call(settings: Settings):
        return lambda name: lambda *given: cases.run(list(given), backend if name == "triton" else name, settings)

    scaled = cases.scale(settings)
    condition = cases.condition([tensor.double() for tensor in inputs], settings)
    names = " ".join(given.name for given in cases.chosen(settings))
    check(call(settings), inputs, call(scaled) if scaled is not settings else None, condition, names)

"""No speed is shown for wrong numbers: results and gradients against float64, on the very inputs that are timed.

Inputs repeat a base small enough for a dense float64 computation (images.py). The upstream gradient grows with the number of
samples as gradients shrink with it, so the gradient of every copy of a sample is that of the sample in the base.
"""

import dataclasses
from types import SimpleNamespace

import torch
from torch import Tensor

from .cases import Case
from .images import repeated
from .operators import Inputs, Run


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A result and the gradients of what is differentiated, by name."""

    result: Tensor
    gradients: dict[str, Tensor]


@dataclasses.dataclass(frozen=True)
class Errors:
    """Relative Euclidean errors, and what is wrong, if anything."""

    result: float
    gradient: float | None
    wrong: str | None


def given(inputs: Inputs, case: Case, dtype: torch.dtype, device: str, full: bool) -> SimpleNamespace:
    """The inputs of a run, rounded to the case's dtype and then in `dtype`: the base, or at the case's full size."""
    rounding = getattr(torch, case.dtype)
    tensors = {}
    for name, values in (*inputs.samples.items(), *inputs.fixed.items()):
        rounded = values.to(rounding if name in inputs.samples else torch.float32)
        rounded = repeated(rounded, case, name in inputs.samples) if full else rounded
        kept = dtype if name in inputs.samples or dtype == torch.float64 else torch.float32
        # a copy: in float64 it would be the base itself that requires a gradient
        tensors[name] = rounded.to(device, kept, copy=True).contiguous().requires_grad_(name in inputs.differentiated)
    return SimpleNamespace(**tensors)


def upstream(result: Tensor, samples: int, batch: int, distinct: int) -> Tensor:
    """Random upstream gradient of a result (batch, ...), the same for the same image; of a scalar, a mean over the batch."""
    scale = samples if result.dim() else samples * batch
    drawn = torch.randn(min(distinct, batch), *result.shape[1:], generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    if not result.dim():
        return drawn.new_ones(()).to(result) * scale
    return (scale * drawn[torch.arange(len(result)) % len(drawn)]).to(result)


def truth(run: Run, inputs: Inputs, case: Case, device: str, gradient: bool = True) -> Outcome:
    """Result and gradients of a run on the base, in float64."""
    base = given(inputs, case, torch.float64, device, full=False)
    result = run(base)
    distinct = len(next(iter(vars(base).values())))
    samples = next(iter(inputs.samples.values())).shape[1] if inputs.samples else 1
    if not gradient:
        return Outcome(result.detach(), {})
    result.backward(upstream(result, samples, distinct, distinct))
    return Outcome(result.detach(), {name: getattr(base, name).grad for name in inputs.differentiated})


def check(actual: Outcome, expected: Outcome, inputs: Inputs, case: Case, tolerance: float) -> Errors:
    """Errors of an outcome at full size, with what is beyond the tolerance or not finite. Gradients in half precision may also be
    off by their own rounding."""
    wanted = repeated(expected.result, case, samples=False) if actual.result.dim() else expected.result
    result = relative_error(actual.result, wanted)
    rounding = torch.finfo(getattr(torch, case.dtype)).eps if case.dtype != "float32" else 0.0
    slopes = {}
    for name, slope in actual.gradients.items():
        slopes[name] = relative_error(slope, repeated(expected.gradients[name], case, name in inputs.samples))
    wrong = [f"the result is off by {result:.1e}"] if not result <= tolerance else []
    wrong += [f"the gradient of {name} is off by {e:.1e}" for name, e in slopes.items() if not e <= tolerance + rounding]
    wrong += [f"the gradient of {name} should not be zero" for name, slope in expected.gradients.items() if not slope.any()]
    return Errors(result, max(slopes.values(), default=None), "; ".join(wrong) or None)


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """|actual - expected| / |expected|, Euclidean norms in float64; NaN where shapes differ or anything is not finite."""
    if actual.shape != expected.shape or not actual.isfinite().all():
        return float("nan")
    expected = expected.double()
    return ((actual.double().to(expected.device) - expected).norm() / expected.norm().clamp_min(1e-300)).item()

"""Harmonic energy: how much outputs differ where features are alike (HarmonicGAN's smoothness term). Formulas and algorithms:
README.md beside this file."""

import math
import numbers

from torch import Tensor

from ..common import arguments
from ..common.operator import Operator
from . import portable, reference

OPERATOR = Operator(
    "harmonic_energy",
    "features outputs",
    {"sigma": float, "distance": str},
    result=lambda features, *_: (features.shape[0],),
    reference=reference,
    portable=portable,
)
REDUCTIONS = ("mean", "sum")


def harmonic_energy(
    features: Tensor, outputs: Tensor, *, sigma: float, distance: str = "l1", reduction: str = "mean", backend: str | None = None
) -> Tensor:
    """How much outputs differ where features are alike, over all ordered pairs of points (HarmonicGAN, Zhang et al. 2019,
    a term of L_Smooth):

        mean_ij exp(-|f_i - f_j|_1 / sigma^2) |a_i - a_j|

    Args:
        features: (..., N, D), what similarity is judged by, floating; half precision is computed and returned in float32.
        outputs: (..., N, E), what should then be alike; leading dimensions broadcast against those of features.
        sigma: how far features may differ to count as alike, positive; sigma^2 has the units of the features.
        distance: of outputs, "l1" (the paper's) or "l2" (Euclidean, with gradient 0 where outputs are equal). The features' is
            always the former.
        reduction: "mean" over the N^2 ordered pairs, a point with itself among them, or "sum" (the paper's).
        backend: None, "torch", "triton" or "reference", as for `soft_histogram`.

    Returns:
        (...), non-negative, in the units of outputs; 0 where all outputs are equal, and for N = 0. Differentiable in features
        and outputs. A NaN component makes the energy NaN.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms, unless backend is "reference".

    Example:
        >>> import torch
        >>> from huenet.kernels import harmonic_energy
        >>> features = torch.tensor([[0.0], [0.0], [9.0]])  # the first two are alike
        >>> harmonic_energy(features, torch.tensor([[1.0], [1.0], [5.0]]), sigma=1.0).item() < 1e-3
        True
        >>> harmonic_energy(features, torch.tensor([[1.0], [5.0], [5.0]]), sigma=1.0)
        tensor(0.8890)
    """
    features, outputs = _points(features, outputs)
    sigma = _positive("sigma", sigma)
    for name, value, allowed in (("distance", distance, tuple(portable.DISTANCES)), ("reduction", reduction, REDUCTIONS)):
        if value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    pairs = max(features.shape[-2], 1) ** 2 if reduction == "mean" else 1
    flat = (x.reshape(x.shape[:-2].numel(), *x.shape[-2:]) for x in (features, outputs))
    return OPERATOR(*flat, sigma, distance, backend=backend).view(features.shape[:-2]) / pairs


def _points(features: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Features and outputs over the same points, broadcast over the leading dimensions, in their common dtype."""
    features, outputs = arguments.samples("features", features), arguments.samples("outputs", outputs)
    for name, x, letter in (("features", features, "D"), ("outputs", outputs, "E")):
        if x.dim() < 2 or not x.shape[-1]:
            raise ValueError(f"{name} must be (..., N, {letter}) with at least one component, got {tuple(x.shape)}")
    if features.shape[-2] != outputs.shape[-2]:
        raise ValueError(f"outputs must have the points of features, expected {features.shape[-2]}, got {tuple(outputs.shape)}")
    return arguments.one_batch(features, outputs, ("features", "outputs"), 2)


def _positive(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    if not 0 < value < math.inf:  # which may also be asked of a number that torch.compile keeps symbolic
        raise ValueError(f"{name} must be positive and finite, got {value}")
    return float(value)

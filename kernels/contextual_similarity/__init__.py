"""Contextual similarity of two sets of points: Mechrez, Talmi and Zelnik-Manor 2018, Eq. 1-4. Formulas and algorithms: README.md
beside this file."""

import math
from typing import Literal

from torch import Tensor

from ..common import arguments
from ..common.backends import check_backend
from ..common.devices import full_precision
from ..common.operator import Operator
from . import portable, reference
from .directions import half_directions

OPERATOR = Operator(
    "contextual_similarity",
    "x y",
    {"bandwidth": float, "eps": float, "metric": str, "reduce": str},
    result=lambda x, *_: (x.shape[0],),
    reference=None,  # it takes points before they are made comparable
    portable=portable,
)


def contextual_similarity(
    x: Tensor,
    y: Tensor,
    *,
    bandwidth: float = 0.5,
    eps: float = 1e-5,
    distance: Literal["cosine", "l2", "l1"] = "cosine",
    center: Literal["batch", "sample", "none"] = "batch",
    reduce: Literal["target", "source"] = "target",
    backend: str | None = None,
) -> Tensor:
    """How much of y is found in x, wherever it lies: contextual similarity of two sets of points (Mechrez et al. 2018, Eq. 1-4).

    The contextual loss is minus its logarithm (`huenet.losses.ContextualLoss`). Sets may differ in size, N x M is stored only
    where it is small (2^20 numbers on a CPU).

    Args:
        x: points of the generated image, (..., N, C), floating; half precision is computed and returned in float32.
        y: points of the target, (..., M, C), leading dimensions broadcast against x's.
        bandwidth: h of Eq. 3, positive; the smaller, the more a point commits itself to its nearest neighbour.
        eps: added to the distance of the nearest neighbour (Eq. 2), at least 1e-12, in units of the distance.
        distance: "cosine", (1 - cos) / 2 in [0, 1]; "l2", the squared Euclidean distance; "l1", the sum of absolute differences.
        center: for "cosine", what is subtracted from x and y first: y's mean over batch and points, over the points of each sample,
            or nothing. A point that is then zero, but for rounding, gets the direction of (1, ..., 1).
        reduce: "target", the mean over y of the best affinity, or "source", the mean over x.
        backend: None or "torch" (blocks of rows, CPU or CUDA), "triton" (fused kernels for GPUs, the default there: tested in
            Triton's interpreter and compiled for sm_80, sm_90, sm_100 and gfx942, not yet run on a GPU), or "reference" (dense
            PyTorch, whose backward pass autocast may round).

    Returns:
        (...), in (0, 1]. A NaN or infinite value in x or y makes the similarity and the gradients of its sample NaN; in y, with
        center="batch", those of all samples.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms, unless backend is "reference".

    Example:
        >>> import torch
        >>> from huenet.kernels import contextual_similarity
        >>> points = torch.rand(50, 8, generator=torch.manual_seed(0))
        >>> shuffled = points[torch.randperm(50, generator=torch.manual_seed(1))]
        >>> print(f"{contextual_similarity(points, shuffled):.3f}")  # wherever they lie
        1.000
        >>> print(f"{contextual_similarity(points, torch.rand(50, 8, generator=torch.manual_seed(2))):.3f}")
        0.361
    """
    x, y = _point_sets(x, y)
    check_options(bandwidth, eps, distance, center, reduce)
    check_backend(backend)
    with full_precision(x):
        if backend == "reference":
            return reference.forward(x, y, bandwidth, eps, distance, center, reduce)
        return of_metric(*_comparable(x, y, distance, center), bandwidth, eps, reduce, backend)


def of_metric(x: Tensor, y: Tensor, metric: str, bandwidth: float, eps: float, reduce: str, backend: str | None) -> Tensor:
    """Similarity of points (..., N, C) and (..., M, C) as they are, of one batch and dtype. `metric` is "l1", "l2", or "product":
    "l2" by a matrix product, which is sooner done, and right for points that are near the origin beside their distances."""
    if backend == "reference":
        return reference.forward(x, y, bandwidth, eps, "l2" if metric == "product" else metric, "none", reduce)
    batch = x.shape[:-2]
    if len(batch) != 1:
        x, y = (z.reshape(batch.numel(), *z.shape[-2:]) for z in (x, y))
    similarity = OPERATOR(x, y, float(bandwidth), float(eps), metric, reduce, backend=backend)
    return similarity if len(batch) == 1 else similarity.view(batch)


def check_options(bandwidth: float, eps: float, distance: str, center: str, reduce: str) -> None:
    """ValueError where one of these options of `contextual_similarity` is bad."""
    for name, value, least in (("bandwidth", bandwidth, 0.0), ("eps", eps, 1e-12)):
        if not isinstance(value, (int, float)) or not (value > 0 and least <= value < math.inf):
            raise ValueError(f"{name} must be a finite number {f'of at least {least:g}' if least else 'above 0'}, got {value!r}")
    for name, value, choices in (
        ("distance", distance, ("cosine", "l2", "l1")),
        ("center", center, ("batch", "sample", "none")),
        ("reduce", reduce, ("target", "source")),
    ):
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def _comparable(x: Tensor, y: Tensor, distance: str, center: str) -> tuple[Tensor, Tensor, str]:
    """Points, and the metric in which their distances are those asked for of x and y."""
    x, y = x.contiguous(), y.contiguous()  # else sums over them would be rounded by their strides
    if distance == "cosine":
        mean = None if center == "none" else reference.mean_of(y, center)
        return half_directions(x, mean), half_directions(y, mean), "product"
    return x, y, distance


def _point_sets(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(..., N, C) and (..., M, C) over the same leading dimensions, in their common dtype."""
    x, y = arguments.samples("x", x), arguments.samples("y", y)
    for name, points in (("x", x), ("y", y)):
        if points.dim() < 2 or not points.shape[-2] or not points.shape[-1]:
            raise ValueError(f"{name} must be points (..., N, C) with at least one point and channel, got {tuple(points.shape)}")
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(f"y must have the channels of x, expected {x.shape[-1]} on the last dimension, got {tuple(y.shape)}")
    return arguments.one_batch(x, y, ("x", "y"), 2)

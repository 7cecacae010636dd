"""Sums of windows at centres that may lie anywhere, which `Bins` cannot say, with gradients to centres and bandwidth. Plain
PyTorch, by pieces of samples; the backward pass makes the responses of a piece anew.

With u_nk = (x_n - c_k) / s and a window w of bandwidth 1,

    h_k = sum_n w(u_nk)                        J_kl = sum_n w(u_nk) w(v_nl),   v_nl = (y_n - c_l) / s

Both are told by G_nk, what the result's gradient does to w(u_nk): the gradient's own row in one dimension, its product with the
responses of the other axis in two. Then, with D_nk = G_nk w'(u_nk) / s,

    dL/dx_n = sum_k D_nk,     dL/dc_k = -sum_n D_nk,     dL/ds = -sum_nk D_nk u_nk
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from ..kernels.common.devices import budget
from ..kernels.common.operator import Operator
from ..kernels.common.windows import WINDOWS

#: responses made at a time
_CPU_PIECE, _DEVICE_PIECE = 2**18, 2**24


def sums_at(x: Tensor, centers: Tensor, bandwidth: Tensor, window: str) -> Tensor:
    """Sums of the samples' windows, (B, N) -> (B, K), of centres (K,) and a bandwidth () in the samples' units; what lies at the
    very end of a window is in it. x, centres and bandwidth are of one dtype, float32 or float64, and differentiable once."""
    return _SUMS(x, centers, bandwidth, window)


def joint_sums_at(x: Tensor, y: Tensor, centers: Tensor, bandwidth: Tensor, window: str) -> Tensor:
    """The same of pairs, (B, N) twice -> (B, K, K), x's centres first."""
    return _JOINT_SUMS(x, y, centers, bandwidth, window)


class _Responses:
    """Of samples (n,) at all centres, (n, K)."""

    def __init__(self, x: Tensor, centers: Tensor, bandwidth: Tensor, window: str) -> None:
        self._window = WINDOWS[window]
        # where a window has ends, a rounding of the dtype more than 1, so that they belong to it
        self._width = 1 + torch.finfo(x.dtype).eps if self._window.knots else 1.0
        # every window is 0 beyond, and 0 times infinity would be NaN
        self._bandwidth, self._u = bandwidth, ((x.unsqueeze(-1) - centers) / bandwidth).clamp_(-1e4, 1e4)

    def values(self) -> Tensor:
        return self._window.response(self._u, self._width)

    def gradients(self, upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of samples (n,), centres (K,) and bandwidth (), the latter in float64."""
        slope = self._window.derivative(self._u, self._width).mul_(upstream).div_(self._bandwidth)
        of_samples, of_centers = slope.sum(-1), slope.sum(0, dtype=torch.float64)
        return of_samples, -of_centers, -slope.mul_(self._u).sum(dtype=torch.float64)


def _pieces(x: Tensor, centers: Tensor) -> Iterator[tuple[int, slice]]:
    """A row and some of its samples."""
    size = max(1, budget(x, _CPU_PIECE, _DEVICE_PIECE) // max(len(centers), 1))
    for row in range(len(x)):
        for start in range(0, x.shape[1], size):
            yield row, slice(start, start + size)


def _sums(x: Tensor, centers: Tensor, bandwidth: Tensor, window: str) -> Tensor:
    sums = x.new_zeros(len(x), len(centers), dtype=torch.float64)
    for piece in _pieces(x, centers):
        sums[piece[0]] += _Responses(x[piece], centers, bandwidth, window).values().sum(0, dtype=torch.float64)
    return sums.to(x.dtype)


def _joint_sums(x: Tensor, y: Tensor, centers: Tensor, bandwidth: Tensor, window: str) -> Tensor:
    sums = x.new_zeros(len(x), len(centers), len(centers), dtype=torch.float64)
    for piece in _pieces(x, centers):
        p, q = (_Responses(z[piece], centers, bandwidth, window).values() for z in (x, y))
        sums[piece[0]] += p.mT @ q
    return sums.to(x.dtype)


def _sums_backward(
    grad: Tensor, x: Tensor, centers: Tensor, bandwidth: Tensor, window: str, needs: list[bool]
) -> tuple[Tensor, ...]:
    of_x, of_centers, of_bandwidth = torch.empty_like(x), *_zeros(centers, bandwidth)
    for piece in _pieces(x, centers):
        responses = _Responses(x[piece], centers, bandwidth, window)
        of_x[piece], *others = responses.gradients(grad[piece[0]])
        of_centers += others[0]
        of_bandwidth += others[1]
    return _wanted((of_x, of_centers, of_bandwidth), needs, x)


def _joint_sums_backward(
    grad: Tensor, x: Tensor, y: Tensor, centers: Tensor, bandwidth: Tensor, window: str, needs: list[bool]
) -> tuple[Tensor, ...]:
    of_x, of_y, (of_centers, of_bandwidth) = torch.empty_like(x), torch.empty_like(y), _zeros(centers, bandwidth)
    for piece in _pieces(x, centers):
        along_x, along_y = (_Responses(z[piece], centers, bandwidth, window) for z in (x, y))
        p, q, upstream = along_x.values(), along_y.values(), grad[piece[0]]
        of_x[piece], *of_first = along_x.gradients(q @ upstream.mT)
        of_y[piece], *of_second = along_y.gradients(p @ upstream)
        of_centers += of_first[0] + of_second[0]
        of_bandwidth += of_first[1] + of_second[1]
    return _wanted((of_x, of_y, of_centers, of_bandwidth), needs, x)


def _zeros(centers: Tensor, bandwidth: Tensor) -> tuple[Tensor, Tensor]:
    return centers.new_zeros(centers.shape, dtype=torch.float64), bandwidth.new_zeros((), dtype=torch.float64)


def _wanted(grads: tuple[Tensor, ...], needs: list[bool], like: Tensor) -> tuple[Tensor, ...]:
    return tuple(grad.to(like.dtype) if need else like.new_empty(0) for grad, need in zip(grads, needs, strict=True))


def _operator(name: str, tensors: str, dims: int, forward: Any, backward: Any) -> Operator:
    return Operator(
        name,
        tensors,
        {"window": str},
        result=lambda x, *others: (len(x), *[len(others[-3])] * dims),
        reference=None,
        portable=SimpleNamespace(forward=forward, backward=backward, __package__=__package__),
        fused=False,
    )


_SUMS = _operator("sums_at_centers", "x centers bandwidth", 1, _sums, _sums_backward)
_JOINT_SUMS = _operator("joint_sums_at_centers", "x y centers bandwidth", 2, _joint_sums, _joint_sums_backward)


def even_spacing(centers: list[float], dtype: torch.dtype, bandwidth: float) -> float | None:
    """The distance of neighbours, negative where they descend; None where they are not even, or are but to roundings that a window
    of this bandwidth would notice: that move a response by more than 1e-5 of its peak."""
    count = len(centers)
    if count < 2:
        return bandwidth if count else None
    spacing = (centers[-1] - centers[0]) / (count - 1)
    if not math.isfinite(spacing) or not spacing:
        return None
    off = max(abs(center - (centers[0] + k * spacing)) for k, center in enumerate(centers))
    rounding = 2 * torch.finfo(dtype).eps * max(abs(centers[0]), abs(centers[-1]))
    return spacing if off <= min(rounding, 1e-5 * bandwidth) else None

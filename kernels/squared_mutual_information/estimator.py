"""The estimator behind rSMI: its settings, and the part whose size does not depend on the samples. Formulas: README.md beside this
file, whose names are used here."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from ..common.arguments import integer, number
from ..common.devices import budget
from ..common.kept import kept_tensors

#: how many times the ridge the largest eigenvalue of H may be. At the limit gradients of binary images keep 5 digits, those of
#: evenly spread values 8, and those of constant images are zero to 1e-15 of either (measured against 64-bit mantissas)
CONDITION = 2.0**37
#: up to this condition moments and gradients may be formed in float32
SINGLE = 2.0**14
#: cells of H that are factored at a time: 32 MB of float64 on a CPU, 256 MB on other devices
CPU_CELLS, DEVICE_CELLS = 1 << 22, 1 << 25


@dataclass(frozen=True)
class Estimator:
    """What is fitted; for the fields see `squared_mutual_information`. Raises TypeError or ValueError, naming the argument."""

    centers: int = 9
    sigma: float = 1.0
    beta: float = 0.5
    ridge: float = 0.05
    sign: int = -1
    low: float = -1.0
    high: float = 1.0

    #: the settings as a string, the form in which they pass through registered operators (whose arguments are plain values)
    spec: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "centers", integer("centers", self.centers))
        if self.centers < 1:
            raise ValueError(f"centers must be at least 1, got {self.centers}")
        if isinstance(self.sign, bool) or self.sign not in (-1, 1):
            raise ValueError(f"sign must be -1 (Gaussian) or 1 (the published code's), got {self.sign!r}")
        object.__setattr__(self, "sign", integer("sign", int(self.sign)))
        for name in ("sigma", "beta", "ridge", "low", "high"):
            object.__setattr__(self, name, number(name, getattr(self, name)))
        if not 1e-30 < self.high - self.low < 1e30:
            raise ValueError(f"low must be below high, by 1e-30 to 1e30, got low={self.low}, high={self.high}")
        if not 1e-30 < self.sigma < 1e30:
            raise ValueError(f"sigma must be positive, from 1e-30 to 1e30, got {self.sigma}")
        if not 0 < self.beta < 1:
            raise ValueError(f"beta must be between 0 and 1, got {self.beta}")
        if not self.ridge > 0:
            raise ValueError(f"ridge must be positive, got {self.ridge}")
        self._check_condition()
        values = self.centers, self.sigma, self.beta, self.ridge, self.sign, self.low, self.high
        object.__setattr__(self, "spec", ",".join(map(str, values)))

    def _check_condition(self) -> None:
        if self.log_condition <= math.log(CONDITION):
            return
        least = self.log_condition + math.log(self.ridge / CONDITION)
        needed = f"{math.exp(least):.2g}" if least < 700 else "beyond any number"
        grow = "; a larger sigma serves too, as with sign=1 kernels grow with distance" if self.sign == 1 else ""
        raise ValueError(f"ridge must be at least {needed} for these kernels, or H + ridge I is singular, got {self.ridge}{grow}")

    @property
    def log_condition(self) -> float:
        """Logarithm of a bound on the largest eigenvalue of H over the ridge: the square of the largest sum_a K_a(x)^2."""
        if self.sign == -1:
            energy = math.log(self.centers)
        else:
            above, step, rate = self.first - self.low, self.step, 2 * self.rate
            exponents = [rate * (above + a * step) ** 2 for a in range(self.centers)]
            energy = exponents[-1] + math.log(sum(math.exp(exponent - exponents[-1]) for exponent in exponents))
        return 2 * energy - math.log(self.ridge)

    @property
    def rate(self) -> float:
        """A kernel is exp(rate distance^2)."""
        return self.sign / (2 * self.sigma**2)

    @property
    def step(self) -> float:
        """Distance between neighbouring centres."""
        return (self.high - self.low) / max(self.centers - 1, 1)

    @property
    def first(self) -> float:
        """The lowest centre; a single one is in the middle of the range."""
        return self.low if self.centers > 1 else (self.low + self.high) / 2

    @property
    def bounds(self) -> tuple[float, float]:
        """Samples outside are taken to lie here, with zero gradient. Kernels that grow stop at the ends of the range; the others,
        where they have long been zero, which only tells infinite samples from the rest."""
        beyond = 40 * self.sigma if self.sign == -1 else 0.0
        return self.low - beyond, self.high + beyond

    @staticmethod
    @functools.lru_cache(maxsize=256)
    def from_spec(spec: str) -> Estimator:
        centers, *values, sign, low, high = spec.split(",")
        return Estimator(int(centers), *map(float, values), int(sign), float(low), float(high))

    def positions(self, like: Tensor) -> Tensor:
        """All centres, (m,) in the dtype and on the device of `like`, rounded once; made there, as copies would wait for it."""
        return torch.arange(self.centers, device=like.device, dtype=torch.float64).mul_(self.step).add_(self.first).to(like.dtype)


class Grid(NamedTuple):
    """What of the centres moments are made of, but for the samples, m = centers; float64 unless said."""

    centers: Tensor  # (m,)
    sums: Tensor  # for every two kernels a and a' the index a + a' of their q, (m, m) int64
    ratio: Tensor  # and ratio_aa', (m, m)
    #: what the product of two of the fused kernels' features (fused.py) is to be multiplied by for the product of their q, K or 1,
    #: (3m, 3m): an odd q is centred there between two kernels, whose product is a constant times it
    factors: Tensor

    @classmethod
    def of(cls, estimator: Estimator, device: torch.device) -> Grid:
        return _grid(estimator, device)


@kept_tensors(maxsize=64)
def _grid(estimator: Estimator, device: torch.device) -> Grid:
    m, exponent = estimator.centers, 0.5 * estimator.rate * estimator.step**2
    centers = estimator.positions(torch.empty(0, dtype=torch.float64, device=device))
    index = torch.arange(m, device=device)
    sums, apart = index.unsqueeze(1) + index, index.unsqueeze(1) - index
    # about the middle of the two centres; q_k is the product of the two nearest, 0 or 1 apart
    ratio = torch.exp((apart.square() - sums % 2).double() * exponent)
    factor = torch.ones(3 * m, dtype=torch.float64, device=device)
    factor[1 : 2 * m - 1 : 2] = math.exp(exponent)
    return Grid(centers, sums, ratio, factor.unsqueeze(1) * factor)


class Moments(NamedTuple):
    """Means over the samples of each image, float64."""

    joint: Tensor  # q(x) q(y)', (B, 2m-1, 2m-1)
    product_x: Tensor  # q(x), (B, 2m-1)
    product_y: Tensor
    kernel_x: Tensor  # K(x), (B, m)
    kernel_y: Tensor


class Slopes(NamedTuple):
    """What the gradient of every sample is made of, each (B, m, m) or (B, m), float64, from u and v as m x m matrices U and V.

    With K = K(x) and L = K(y) of a pair, d rSMI / dx = 2/N K'(x) . (at_x - within_x K - UL (K . UL) + VL (K . VL)),
    and for y the same with U' and V'. The factors beta and 1 - beta are in `within` and, as a root, in U and V.
    """

    u: Tensor
    v: Tensor
    within_x: Tensor
    within_y: Tensor
    at_x: Tensor
    at_y: Tensor

    def packed(self) -> Tensor:
        """(B, 4m+2, m)."""
        return torch.cat([*self[:4], self.at_x.unsqueeze(1), self.at_y.unsqueeze(1)], 1)

    @classmethod
    def unpacked(cls, packed: Tensor) -> Slopes:
        m = packed.shape[-1]
        *square, at_x, at_y = packed.split([m, m, m, m, 1, 1], 1)
        return cls(*square, at_x.squeeze(1), at_y.squeeze(1))


def solve(moments: Moments, estimator: Estimator) -> tuple[Tensor, Tensor]:
    """rSMI (B,) and its packed slopes, float64; NaN where a moment is, or where rounding left H + ridge I not positive definite."""
    step = max(budget(moments.joint, CPU_CELLS, DEVICE_CELLS) // estimator.centers**4, 1)
    if len(moments.joint) <= step:
        return _solve(moments, estimator)
    pieces = [_solve(Moments(*part), estimator) for part in zip(*(part.split(step) for part in moments))]
    value, packed = map(torch.cat, zip(*pieces))
    return value, packed


def _solve(moments: Moments, estimator: Estimator) -> tuple[Tensor, Tensor]:
    m, beta, ridge = estimator.centers, estimator.beta, estimator.ridge
    _, sums, ratio, _ = Grid.of(estimator, moments.joint.device)
    mixture = torch.lerp(moments.joint, moments.product_x.unsqueeze(2) * moments.product_y.unsqueeze(1), beta)
    ridged = mixture[:, sums[:, None, :, None], sums[None, :, None, :]] * (ratio[:, None, :, None] * ratio[None, :, None, :])
    ridged = ridged.reshape(-1, m * m, m * m)
    ridged.diagonal(dim1=1, dim2=2).add_(ridge)
    h = (moments.kernel_x.unsqueeze(2) * moments.kernel_y.unsqueeze(1)).reshape(-1, m * m, 1)

    factor, failed = torch.linalg.cholesky_ex(ridged)
    alpha = _cholesky_solve(factor, h)
    v = ridge * _cholesky_solve(factor, alpha)
    value = (alpha * h.add(alpha, alpha=ridge)).sum((1, 2)).sub_(1).clamp_(-1, 1 / beta - 1)

    u, v = (alpha + v).view(-1, m, m), v.view(-1, m, m)
    gram_x, gram_y = ratio * moments.product_x[:, sums], ratio * moments.product_y[:, sums]
    root = math.sqrt(1 - beta)
    slopes = Slopes(
        u=root * u,
        v=root * v,
        within_x=torch.baddbmm(u @ gram_y @ u.mT, v @ gram_y, v.mT, beta=beta, alpha=-beta),
        within_y=torch.baddbmm(u.mT @ gram_x @ u, v.mT @ gram_x, v, beta=beta, alpha=-beta),
        at_x=(u @ moments.kernel_y.unsqueeze(2)).squeeze(2),
        at_y=(u.mT @ moments.kernel_x.unsqueeze(2)).squeeze(2),
    )
    unsolved = failed != 0
    return value.masked_fill_(unsolved, torch.nan), slopes.packed().masked_fill_(unsolved.view(-1, 1, 1), torch.nan)


def _cholesky_solve(factor: Tensor, right: Tensor) -> Tensor:
    half = torch.linalg.solve_triangular(factor, right, upper=False)
    return torch.linalg.solve_triangular(factor.mT, half, upper=True)

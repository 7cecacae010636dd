"""Relative squared-loss mutual information of paired samples (rSMI), the structure consistency of SCC (Guo et al. 2022, Eq. 4-7).
Formulas and algorithms: README.md and estimator.py beside this file."""

from torch import Tensor

from ..common import arguments
from ..common.operator import Operator
from . import portable, reference
from .estimator import Estimator

OPERATOR = Operator(
    "squared_mutual_information",
    "x y",
    {"estimator": Estimator},
    result=lambda x, y, estimator: (x.shape[0],),
    reference=reference,
    portable=portable,
)


def squared_mutual_information(
    x: Tensor,
    y: Tensor,
    *,
    centers: int = 9,
    sigma: float = 1.0,
    beta: float = 0.5,
    ridge: float = 0.05,
    sign: int = -1,
    low: float = -1.0,
    high: float = 1.0,
    backend: str | None = None,
) -> Tensor:
    """How much paired samples depend on each other: relative squared-loss mutual information, rSMI (SCC, Guo et al. 2022, Eq. 4-7).

    It is the Pearson divergence of the product of marginals S from the mixture beta S + (1 - beta) Q with the joint density Q,
    E[(ratio - 1)^2], estimated by RuLSIF (Yamada et al. 2013): the ratio is fitted by centers x centers products of kernels.
    About 0 for independent samples (the estimate may be a little negative), the same for x and -x, and never infinite. What
    dependent samples reach depends on their distribution and the settings: a photo against itself gives 0.06 with the defaults,
    0.2 with sign=1 or with ridge=0.001, and 0.4 with sigma=0.25 and ridge=0.01 (means of 20 aerial photos).

    Args:
        x, y: samples, (..., N) with the same N and leading dimensions that broadcast; floating. Half precision is computed and
            returned in float32. A NaN sample makes its pair's result and gradients NaN.
        centers: kernels along either axis, equidistant from low to high, at least 1 (a single one is in the middle). The system
            that is solved for each pair has centers^2 unknowns: it costs centers^6 / 3 multiply-adds and 24 centers^4 bytes.
        sigma: their width, in the samples' units. Well below the distance of centres they do not cover the range, and rSMI
            tends to -1.
        beta: share of S in the mixture, between 0 and 1; what bounds the result.
        ridge: added to the diagonal of the system, positive. ValueError if it is so small, or with sign=1 sigma is, that float64
            cannot solve it: with the other defaults, below 6e-10, or with sign=1 for sigma below 0.6.
        sign: -1, kernels exp(-(x - center)^2 / (2 sigma^2)), or 1, without the minus, as in the published code of SCC, whose
            results it gives but for their rounding. Both span the same functions up to a weight. Kernels that grow make the
            condition of the system up to a hundred times larger, so the Gaussian, which float32 can serve on a GPU, is the default.
            The same ridge smooths it as much more: 0.001 with sign=-1 compares with the published 0.05 with sign=1.
        low, high: range of the centres. With sign=-1 samples outside, infinite ones too, are treated by the same formula; with
            sign=1, whose kernels would grow without bound, they count as the nearer end and have no gradient.
        backend: "torch" (in float64, any device, the default on a CPU), "triton" (fused kernels, at most 21 centers, the default
            on a GPU: tested in Triton's interpreter and compiled for sm_80, sm_90, sm_100 and gfx942, not yet run on a GPU), or
            "reference" (dense PyTorch, memory of centers^2 N; its backward pass autocast may round).

    Returns:
        (...), in [-1, 1/beta - 1].

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came; also where there are no samples.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms, unless backend is "reference".

    Example:
        >>> import torch
        >>> from huenet.kernels import squared_mutual_information
        >>> x = torch.linspace(-1, 1, 500)
        >>> noise = torch.rand(500, generator=torch.manual_seed(0)) * 2 - 1
        >>> print(f"{squared_mutual_information(x, x**2):.3f} {squared_mutual_information(x, noise):.3f}")
        0.014 -0.005
    """
    estimator = Estimator(centers, sigma, beta, ridge, sign, low, high)
    x, y = arguments.paired(x, y)
    if not x.shape[-1]:
        raise ValueError(f"x must have at least one sample on its last dimension, got {tuple(x.shape)}")
    return arguments.of_rows(OPERATOR(arguments.rows(x), arguments.rows(y), estimator, backend=backend), x)

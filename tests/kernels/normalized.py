"""Bins whose responses are divided by their sum: any backend against the dense formula."""

from __future__ import annotations

import torch
from torch import Tensor

from huenet.kernels import Bins, histogram_emd, joint_histogram, mutual_information, soft_histogram
from huenet.kernels.common.responses import responses
from tests.assertions import assert_close, assert_gradients_close
from tests.kernels.strategies import gradients, samples

#: as in test_histograms.py; a sum of at least a sixteenth of the peak, of which polynomials are right to a few roundings
EXACT, SINGLE = 1e-12, 2e-6
BINS = [
    Bins(23, window="rbf", bandwidth=0.5, normalized=True),
    Bins(64, window="rbf", boundary="reflect", normalized=True),
    Bins(7, window="gaussian", boundary="circular", normalized=True),
    Bins(40, -1.0, 2.0, 1.5, "open", "epanechnikov", normalized=True),
    Bins(30, window="inverse_quadratic", bandwidth=0.3, normalized=True),
]


def written_out(x: Tensor, bins: Bins) -> Tensor:
    """Responses (..., N, K) divided by their sums."""
    response = responses(x.clamp(bins.low, bins.high) if bins.boundary == "open" else x, bins)
    return response / response.sum(-1, keepdim=True)


def check(bins: Bins, dtype: torch.dtype, count: int, backend: str) -> None:
    """Soft and joint histograms, weighted, and their losses, against the formula in float64."""
    tolerance = EXACT if dtype == torch.float64 else SINGLE
    given = [
        samples(2, count, dtype=dtype),
        samples(2, count, seed=1, dtype=dtype),
        samples(2, count, seed=2, dtype=dtype, spill=0.0),
    ]
    target = torch.full((2, bins.count), 1 / bins.count, dtype=dtype)

    def ours(x: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, ...]:
        soft = soft_histogram(x, bins, weights=w, backend=backend)
        distance = histogram_emd(x, target.to(x.dtype), bins, weights=w, squared=True, circular=False, backend=backend)
        return soft, joint_histogram(x, y, bins, weights=w, backend=backend), distance

    def expected(x: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, ...]:
        share = (w / w.sum(-1, keepdim=True)).unsqueeze(-1)
        p, q = written_out(x, bins), written_out(y, bins)
        soft = (p * share).sum(-2)
        return soft, (p * share).mT @ q, (soft - target.to(x.dtype)).cumsum(-1).square().sum(-1)

    for number in range(3):
        inputs = [given[0], given[2]] if number != 1 else given
        pick = lambda function: lambda *z: function(z[0], z[1] if len(z) == 3 else z[0].detach(), z[-1])[number]  # noqa: E731, B023
        actual, actual_gradients = gradients(pick(ours), inputs)
        wanted, wanted_gradients = gradients(pick(expected), [z.double() for z in inputs])
        scale = 10 if number == 2 else 1  # cumulative sums, as in test_histogram_emd.py
        assert_close(actual, wanted, scale * tolerance)
        assert_gradients_close(actual_gradients, wanted_gradients, scale * tolerance)


def check_information(backend: str) -> None:
    """Mutual information whose marginals are those of the joint histogram, by the formula."""
    bins = BINS[0]
    x, y = samples(1, 50), samples(1, 50, seed=1)
    information = mutual_information(x, y, bins, backend=backend)
    joint = written_out(x, bins).mT @ written_out(y, bins) / x.shape[-1]
    expected = (
        torch.special.entr(joint.sum(-1)).sum(-1)
        + torch.special.entr(joint.sum(-2)).sum(-1)
        - torch.special.entr(joint).sum((-2, -1))
    )
    assert_close(information.information, expected, EXACT)

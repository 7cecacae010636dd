"""Operations and bytes of huenet's operators, counted from their formulas: the axes of the roofline.

Operations are additions, multiplications, divisions, reciprocals and exponentials, each one, forward and backward together, of the
block-sparse algorithm: a sample responds in `reach` bins. Bytes are the least that must move: inputs, results and gradients once.
"""

from typing import NamedTuple

import torch

from huenet.kernels import Bins
from huenet.kernels.common.tiles import Tiling

from .cases import Case


class Work(NamedTuple):
    operations: float
    bytes: float

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.operations / self.bytes


def histogram(case: Case, reach: int) -> Work:
    """A response is a product of rank two and a reciprocal (5), its sum over samples 2; backward the response again (5), its slope
    (5) and the sum over bins (2)."""
    samples = case.batch * case.samples
    return Work(19.0 * reach * samples, 4.0 * (3 * samples + 2 * case.batch * case.bins))


def joint(case: Case, reach: int) -> Work:
    """Responses of both axes as above, and their outer product, 2 reach^2; backward the same for each gradient, 4 reach^2."""
    samples = case.batch * case.samples
    return Work((6.0 * reach + 34.0) * reach * samples, 4.0 * (6 * samples + 2 * case.batch * case.bins**2))


def reach(case: Case, provider: str) -> int:
    """Bins in reach of a tile's samples, as the provider cuts them."""
    bins = Bins(case.bins, bandwidth=case.bandwidth, boundary="open")
    if provider == "triton":
        from huenet.kernels.common.jit.axis import reach as fused_reach

        return fused_reach(bins, torch.float32)
    return Tiling.covering(bins, torch.tensor([0.0, 1.0])).reach

"""Operations and bytes of huenet's operators, counted from their formulas: the axes of the roofline.

Operations are additions, multiplications, divisions, reciprocals and exponentials, each one, forward and backward together: of the
block-sparse algorithm, in which a sample responds in `reach` bins, or of moments of cells. Bytes are the least that must move:
inputs, results and gradients once.
"""

from typing import NamedTuple

import torch

from huenet.kernels import Bins
from huenet.kernels.common.cells import Grid
from huenet.kernels.common.tiles import Tiling

from .cases import Case


class Work(NamedTuple):
    operations: float
    bytes: float

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.operations / self.bytes


def histogram(case: Case, provider: str) -> Work:
    """A response is a product of rank two and a reciprocal (5), its sum over samples 2; backward the response again (5), its slope
    (5) and the sum over bins (2)."""
    samples = case.batch * case.samples
    operations = 19.0 * reach(case, provider) * samples
    if provider == "torch" and (grid := _grid(case)) is not None:
        operations = _by_cells(case, grid)
    return Work(operations, 4.0 * (3 * samples + 2 * case.batch * case.bins))


def _by_cells(case: Case, grid: Grid) -> float:
    """A sample is located (4) in both passes; forward, a power of its place and a sum for each term; backward, a product and a sum.
    A row's moments, and its polynomials, meet every bin in reach of theirs."""
    tables = grid.response, grid.derivative
    return case.batch * sum(case.samples * (4 + 2 * table.terms) + 2 * grid.numbers(table) * grid.cut.reach for table in tables)


def _grid(case: Case) -> Grid | None:
    return Grid.covering(_bins(case), torch.linspace(0, 1, case.samples).unsqueeze(0))


def joint(case: Case, provider: str) -> Work:
    """Responses of both axes as above, and their outer product, 2 reach^2; backward the same for each gradient, 4 reach^2."""
    samples = case.batch * case.samples
    bins = reach(case, provider)
    return Work((6.0 * bins + 34.0) * bins * samples, 4.0 * (6 * samples + 2 * case.batch * case.bins**2))


def reach(case: Case, provider: str) -> int:
    """Bins in reach of a tile's samples, as the provider cuts them."""
    bins = _bins(case)
    if provider == "triton":
        from huenet.kernels.common.jit.axis import reach as fused_reach

        return fused_reach(bins, torch.float32)
    return Tiling.covering(bins, torch.tensor([0.0, 1.0])).reach


def _bins(case: Case) -> Bins:
    return Bins(case.bins, bandwidth=case.bandwidth, boundary="open")

"""What patch histograms are tried with, by every suite."""

import dataclasses

from torch import Tensor

from ..common.bins import Bins
from ..common.cases import Cases, Input, Timing, uniform
from . import OPERATOR, patch_histogram

HARMONIC = Bins(16, boundary="reflect", window="triangular")


def _pixels(*shape: int, seed: int = 0) -> Tensor:
    """Values of which some lie more than the range outside."""
    return uniform(*shape, seed=seed, spill=1.2)


def _strides(row: Timing) -> list[Timing]:
    """Patches side by side, half over each other, and one at every pixel, whose dense responses are gigabytes."""
    return [dataclasses.replace(row, tier=tier, stride=stride) for tier, stride in (("all", 8), ("others", 4), ("ours", 1))]


CASES = Cases(
    OPERATOR,
    (Input("x", lambda n, b: (b, 3, n, n + n // 2), _pixels),),
    call=lambda inputs, backend, bins, patch, stride: patch_histogram(*inputs, bins, patch=patch, stride=stride, backend=backend),
    settings={
        "side by side": {"bins": HARMONIC, "patch": 4, "stride": 4},
        "overlapping": {"bins": Bins(5, -1.0, 1.0, window="triangular"), "patch": 5, "stride": 2},
        "apart": {"bins": Bins(20, boundary="reflect"), "patch": 3, "stride": 4},
        "gaussian": {"bins": Bins(12, window="gaussian", boundary="circular"), "patch": 4, "stride": 3},
        "every pixel": {"bins": Bins(3, window="bspline", boundary="circular"), "patch": 3, "stride": 1},
    },
    compiled={"": {"bins": HARMONIC, "patch": 8, "stride": 4}},
    size=256,
    rows=1,
    small=6,
)

_COLORS = Timing("patch_histogram", bins=16)
#: rows of the benchmark, by suite
TIMINGS = {
    "quick": [Timing("patch_histogram", side=32, bins=16, stride=4)],
    "cpu": _strides(_COLORS),
    "gpu": _strides(dataclasses.replace(_COLORS, batch=16)),
}

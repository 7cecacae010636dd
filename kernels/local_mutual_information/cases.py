"""What local mutual information is tried with, by every suite."""

import torch

from ..common.bins import Bins
from ..common.cases import Cases, Input, image, votes, weights_of
from . import OPERATOR, local_mutual_information

X, Y, WEIGHTS = (
    Input(name, lambda n, b: (b, n, n + n // 2), draw) for name, draw in (("x", image), ("y", image), ("weights", votes))
)

_HUE = Bins(9, boundary="circular")

CASES = Cases(
    OPERATOR,
    (X, Y, WEIGHTS),
    call=lambda inputs, backend, bins, bins_y=None, patch=4, stride=None, marginals="joint": torch.stack(
        local_mutual_information(
            *inputs[:2], bins, bins_y, patch=patch, stride=stride, weights=weights_of(inputs, 2), marginals=marginals,
            backend=backend,
        ),
        -1,
    ),
    settings={
        # not `reflect`: by the farthest sample of all rows it is settled how each is rounded, and rows are all images' patches here
        "side by side": {"bins": Bins(16), "patch": 4},
        "overlapping": {"bins": _HUE, "bins_y": Bins(5, window="bspline"), "patch": (5, 4), "stride": (2, 1)},
        "apart": {"bins": Bins(100, boundary="circular"), "patch": 3, "stride": 4, "marginals": "histogram"},
        "lines": {"bins": Bins(7, window="gaussian"), "patch": (5,), "stride": 3, "marginals": "histogram"},
    },
    compiled={},  # its kernels are those of mutual information
    size=256,
    rows=1,
    small=8,
    # as mutual information's own
    condition=lambda inputs, settings: 10.0,
)  # fmt: skip

#: rows of the benchmark, by suite
TIMINGS = {"quick": [], "cpu": [], "gpu": []}

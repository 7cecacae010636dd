"""What mutual information is tried with, by every suite."""

import torch

from ..common.bins import Bins
from ..common.cases import Cases, weights_of
from ..joint_histogram.cases import WIDE, Y
from ..soft_histogram.cases import BINS, COMPILED_BINS, WEIGHTS, X, grown
from . import OPERATOR, mutual_information

MARGINALS = ("joint", "histogram")

CASES = Cases(
    OPERATOR,
    (X, Y, WEIGHTS),
    call=lambda inputs, backend, bins, bins_y=None, marginals="joint": torch.stack(
        mutual_information(*inputs[:2], bins, bins_y, weights=weights_of(inputs, 2), marginals=marginals, backend=backend), -1
    ),
    settings={
        **{
            f"{label}, {marginals}": {"bins": bins, "marginals": marginals}
            for label, bins in BINS.items()
            if label != "one"  # a single bin has no information
            for marginals in MARGINALS
        },
        **{label: {**settings, "marginals": "histogram"} for label, settings in WIDE.items()},
    },
    compiled={
        **{
            label: {"bins": bins, "marginals": "histogram" if label else "joint", "weighted": bool(label)}
            for label, bins in {**COMPILED_BINS, "Eq. 5": Bins(256, boundary="circular")}.items()
        },
        "two spans": {"bins": Bins(256, boundary="circular", bandwidth=1.0), "marginals": "histogram"},
        "64 x 20,000": {"bins": Bins(64), "bins_y": Bins(20_000), "weighted": False},
    },
    size=256 * 256,
    rows=32,
    small=20,
    # a triangular response near its foot, of a hundredth among a hundred samples, is rounded relative to its peak, and log J
    # magnifies what that is of the cell: 2^-24 x 100 bins x 100 over SINGLE would be 300 were all cells such, and a thirtieth of
    # them are
    condition=lambda inputs, settings: 10.0,
)

TIMINGS = grown("mutual_information", ["photo"])

"""What the joint histogram is tried with, by every suite."""

from ..common.bins import Bins
from ..common.cases import Cases, Input, Timing, weights_of
from ..soft_histogram.cases import BINS, COMPILED_BINS, DENSE_BINS, WEIGHTS, X, without_boundary
from . import OPERATOR, joint_histogram

#: wide windows, of which samples are ordered by pairs of cells
WIDE = {
    "cells": {"bins": Bins(256, boundary="circular", bandwidth=4.0)},
    "cells, gaussian": {"bins": Bins(64, boundary="circular", bandwidth=2.0, window="gaussian")},
    "cells, reflect": {
        "bins": Bins(100, boundary="reflect", bandwidth=4.0),
        "bins_y": Bins(256, boundary="circular", bandwidth=4.0),
    },
    "cells, one narrow": {
        "bins": Bins(256, bandwidth=8.0, window="gaussian"),
        "bins_y": Bins(40, boundary="circular", bandwidth=0.6),
    },
}
Y = Input("y", X.shape, X.draw)

CASES = Cases(
    OPERATOR,
    (X, Y, WEIGHTS),
    call=lambda inputs, backend, bins, bins_y=None: joint_histogram(
        *inputs[:2], bins, bins_y, weights=weights_of(inputs, 2), backend=backend
    ),
    settings={
        **{label: {"bins": bins} for label, bins in BINS.items()},
        "two kinds": {"bins": Bins(100, boundary="circular"), "bins_y": Bins(257, -0.5, 1.5, 0.6, "reflect", "gaussian")},
        **WIDE,
    },
    compiled={
        "": {"bins": COMPILED_BINS[""], "weighted": False},
        "W = 0.45": {"bins": Bins(256, boundary="circular", bandwidth=0.45)},
        **{label: {"bins": bins} for label, bins in DENSE_BINS.items()},
        **WIDE,
    },
    size=256 * 256,
    rows=32,
    small=30,
    scale=lambda settings: {
        **without_boundary(settings),
        **({"bins_y": without_boundary({"bins": settings["bins_y"]})["bins"]} if "bins_y" in settings else {}),
    },
)

_ROW = Timing("joint_histogram")
_BATCH = Timing("joint_histogram", batch=32)
#: rows of the benchmark, by suite
TIMINGS = {
    "quick": [Timing("joint_histogram", side=64, bins=64)],
    "cpu": [
        Timing("joint_histogram", tier="all"),
        *Timing("joint_histogram", side=64).vary("small", bins=[32, 64]),
        *Timing("joint_histogram", side=128).vary(bins=[32, 64, 256, 1024]),
        *_ROW.vary("ours", image=["constant"]),
    ],
    "gpu": [
        Timing("joint_histogram", batch=32, tier="all"),
        *_BATCH.vary(bins=[32, 64]),
        *_BATCH.vary("ours", bins=[1024]),
        *_BATCH.vary("ours", image=["constant"]),
    ],
}

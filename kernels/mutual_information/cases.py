"""What mutual information is tried with, by every suite."""

from __future__ import annotations

import torch

from ..common.arguments import shares
from ..common.bins import Bins
from ..common.cases import Cases, Timing, weights_of
from ..joint_histogram.cases import Y
from ..soft_histogram.cases import BINS, COMPILED_BINS, WEIGHTS, X
from . import OPERATOR, mutual_information

MARGINALS = ("joint", "histogram")

CASES = Cases(
    OPERATOR,
    (X, Y, WEIGHTS),
    call=lambda inputs, backend, bins, marginals="joint": torch.stack(
        mutual_information(*inputs[:2], bins, weights=weights_of(inputs, 2), marginals=marginals, backend=backend), -1
    ),
    operands=lambda inputs, bins, marginals="joint": (
        *inputs[:2],
        shares(inputs[0], weights_of(inputs, 2)),
        bins,
        bins,
        marginals,
    ),
    settings={
        f"{label}, {marginals}": {"bins": bins, "marginals": marginals}
        for label, bins in BINS.items()
        if label != "one"  # a single bin has no information
        for marginals in MARGINALS
    },
    compiled={
        label: {"bins": bins, "marginals": "histogram" if label else "joint", "weighted": bool(label)}
        for label, bins in {**COMPILED_BINS, "Eq. 5": Bins(256, boundary="circular")}.items()
    },
    size=256 * 256,
    rows=32,
    small=20,
)

_ROW = Timing("mutual_information")
_BATCH = Timing("mutual_information", batch=32)
#: rows of the benchmark, by suite
TIMINGS = {
    "quick": [Timing("mutual_information", side=64, bins=64)],
    "cpu": [
        Timing("mutual_information", tier="all"),
        Timing("mutual_information", side=64, bins=32),
        *_ROW.vary(side=[64, 128, 512]),
        *_ROW.vary("ours", side=[1024, 2048, 4096]),
        *Timing("mutual_information", side=128).vary(bins=[32, 64, 256, 1024]),
        *Timing("mutual_information", side=64).vary(batch=[4, 16]),
        *Timing("mutual_information", side=64).vary("ours", batch=[64, 256]),
        *_ROW.vary("ours", bandwidth=[0.2, 1.0, 2.0, 4.0]),
        *Timing("mutual_information", side=128).vary(dtype=["float16", "bfloat16"]),
        *_ROW.vary("ours", image=["photo"]),
    ],
    "gpu": [
        Timing("mutual_information", batch=32, tier="all"),
        *_ROW.vary(side=[64, 128, 256, 512, 1024, 2048]),
        *_ROW.vary("ours", side=[4096]),
        *_BATCH.vary(bins=[32, 64]),
        *_BATCH.vary("ours", bins=[1024]),
        *_ROW.vary(batch=[4, 16]),
        *_ROW.vary("ours", batch=[64, 256]),
        *_BATCH.vary("ours", bandwidth=[0.2, 1.0, 2.0, 4.0]),
        *_BATCH.vary(dtype=["float16", "bfloat16"]),
        *_BATCH.vary("ours", image=["photo"]),
    ],
}

"""What rSMI is tried with, by every suite."""

import dataclasses

from torch import Tensor

from ..common.cases import Cases, Input, Timing, uniform
from . import OPERATOR, squared_mutual_information


def _values(*shape: int, seed: int = 0) -> Tensor:
    """Values in [-1, 1], the second of which resemble the first."""
    x = 2 * uniform(*shape, spill=0.0) - 1
    return x if not seed else 0.7 * x + 0.3 * (2 * uniform(*shape, seed=seed, spill=0.0) - 1)


CASES = Cases(
    OPERATOR,
    (Input("x", lambda n, b: (b, n), _values), Input("y", lambda n, b: (b, n), _values)),
    call=lambda inputs, backend, **options: squared_mutual_information(*inputs, **options, backend=backend),
    settings={
        "default": {},
        "published": {"sign": 1},
        "one centre": {"centers": 1},
        "many centres": {"centers": 21, "sigma": 0.3},
        "[0, 1]": {"low": 0.0, "high": 1.0, "sigma": 0.2, "beta": 0.8},
    },
    # for 9 and the most centres; "exact" in float64
    compiled={"": {}, "wide": {"centers": 21}, "exact": {"sign": 1}, "exact, wide": {"centers": 21, "sign": 1}},
    size=256 * 256,
    rows=32,
    small=300,
)

_COLORS = Timing("squared_mutual_information", bins=3)
#: rows of the benchmark, by suite; `bins` are colour channels
TIMINGS = {
    "quick": [Timing("squared_mutual_information", side=32, bins=3)],
    "cpu": [*_COLORS.vary(side=[128]), *_COLORS.vary("others", side=[256]), *_COLORS.vary("ours", side=[512])],
    "gpu": [
        row
        for tier, side in (("main", 128), ("all", 256), ("ours", 512))
        for row in dataclasses.replace(_COLORS, batch=16).vary(tier, side=[side])
    ],
}

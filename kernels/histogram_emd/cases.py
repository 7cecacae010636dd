"""What the earth mover's distance from a soft histogram is tried with, by every suite."""

import torch
from torch import Tensor

from ..common.bins import Bins
from ..common.cases import Cases, Timing, votes, weights_of
from ..soft_histogram import reference as soft_histogram
from ..soft_histogram.cases import BINS, COMPILED_BINS, WEIGHTS, X
from . import OPERATOR, histogram_emd

CIRCLE = Bins(64, boundary="circular")


def _target(bins: Bins, like: Tensor) -> Tensor:
    """Another image's histogram, for each row of `like`; no histogram is in half precision."""
    if like.device.type == "meta":
        return like.new_empty(like.shape[0], bins.count)
    dtype = torch.promote_types(like.dtype, torch.float32)
    return soft_histogram.forward(votes(like.shape[0], 50, seed=9), None, bins).to(like.device, dtype)


def _call(inputs: list[Tensor], backend: str | None, bins: Bins, circular: bool = True, squared: bool = False) -> Tensor:
    x, weights = inputs[0], weights_of(inputs, 1)
    return histogram_emd(x, _target(bins, x), bins, circular=circular, squared=squared, weights=weights, backend=backend)


def _condition(inputs: list[Tensor], settings: dict[str, object]) -> float:
    """A distance is a difference of two histograms, and so is its gradient: what rounds them counts as many times as it is
    small."""
    with torch.no_grad():
        return 1 / _call(inputs, "reference", settings["bins"], settings.get("circular", True)).min().item()


CASES = Cases(
    OPERATOR,
    (X, WEIGHTS),
    call=_call,
    settings={
        **{label: {"bins": bins} for label, bins in BINS.items() if label != "one"},
        "on a line": {"bins": CIRCLE, "circular": False},
        "squared": {"bins": CIRCLE, "squared": True},
    },
    compiled={label: {"bins": bins, "weighted": bool(label)} for label, bins in COMPILED_BINS.items()},
    size=256 * 256,
    rows=32,
    small=40,
    condition=_condition,
)

#: rows of the benchmark, by suite
TIMINGS = {
    "quick": [Timing("histogram_emd", side=64, bins=64)],
    "cpu": [
        Timing("histogram_emd", tier="all"),
        *Timing("histogram_emd", side=64).vary("small", bins=[32]),
        *Timing("histogram_emd", side=64).vary(bins=[256]),
        *Timing("histogram_emd").vary("ours", image=["photo", "constant"]),
    ],
    "gpu": [
        Timing("histogram_emd", batch=32, tier="all"),
        *Timing("histogram_emd").vary("ours", batch=[64, 256]),
        *Timing("histogram_emd", batch=32).vary("ours", image=["photo", "constant"]),
    ],
}

"""What the earth mover's distance of histograms is tried with, by every suite. It has no kernels of its own."""

import torch

from ..common.cases import Cases, Input, Timing, uniform
from . import OPERATOR, reference, squared_emd


def _histograms(*shape: int, seed: int = 0) -> torch.Tensor:
    """Random histograms of sum 1, float64."""
    counts = uniform(*shape, seed=seed, spill=0.0)
    return counts / counts.sum(-1, keepdim=True)


def _call(inputs: list[torch.Tensor], backend: str | None, circular: bool) -> torch.Tensor:
    return reference.forward(*inputs, circular) if backend == "reference" else squared_emd(*inputs, circular=circular)


CASES = Cases(
    OPERATOR,
    (Input("p", lambda k, b: (b, k), _histograms), Input("q", lambda k, b: (b, k), _histograms)),
    call=_call,
    settings={"circle": {"circular": True}, "line": {"circular": False}},
    compiled={},
    size=256,
    rows=32,
)

#: rows of the benchmark, by suite: histograms, not images
TIMINGS = {
    "quick": [Timing("emd", side=1, batch=4, bins=64)],
    "cpu": [*Timing("emd", side=1, batch=16).vary(bins=[64, 256])],
    "gpu": [*Timing("emd", side=1, batch=256).vary(bins=[64, 256, 1024])],
}

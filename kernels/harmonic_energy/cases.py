"""What harmonic energy is tried with, by every suite."""

from torch import Tensor

from ..common.cases import Cases, Input, Timing, uniform
from . import OPERATOR, harmonic_energy


def _coarse(*shape: int, seed: int = 0) -> Tensor:
    """Points whose components tie often, as empty bins do, and some of which are equal."""
    x = (4 * uniform(*shape, seed=seed)).round()
    x[..., 1, :] = x[..., 0, :]
    return x


CASES = Cases(
    OPERATOR,
    (Input("features", lambda n, b: (b, n, 5), _coarse), Input("outputs", lambda n, b: (b, n, 3), _coarse)),
    call=lambda inputs, backend, sigma=1.5, distance="l1": harmonic_energy(
        *inputs, sigma=sigma, distance=distance, backend=backend
    ),
    settings={"l1": {"distance": "l1"}, "l2": {"distance": "l2"}},
    compiled={"l1": {"distance": "l1", "sigma": 0.5}, "l2": {"distance": "l2", "sigma": 0.5}},
    size=3969,
    rows=1,
)

_POINTS = Timing("harmonic_energy", bins=48)
#: rows of the benchmark, by suite: side x side points of `bins` components
TIMINGS = {
    "quick": [Timing("harmonic_energy", side=16, bins=16)],
    "cpu": [*_POINTS.vary("small", side=[16, 32]), *_POINTS.vary("others", side=[63])],
    "gpu": [*_POINTS.vary(side=[32, 64]), *_POINTS.vary("others", side=[128]), *_POINTS.vary("ours", side=[249])],
}

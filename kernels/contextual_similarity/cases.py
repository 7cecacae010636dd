"""What contextual similarity is tried with, by every suite."""

from ..common.cases import Cases, Input, Timing, points
from . import OPERATOR, contextual_similarity

CHANNELS = 6

CASES = Cases(
    OPERATOR,
    (Input("x", lambda n, b: (b, n, CHANNELS), points), Input("y", lambda n, b: (b, n - n // 4, CHANNELS), points)),
    call=lambda inputs, backend, **options: contextual_similarity(*inputs, **options, backend=backend),
    settings={
        f"{distance}, {reduce}": {"distance": distance, "reduce": reduce}
        for distance in ("cosine", "l2", "l1")
        for reduce in ("target", "source")
    },
    compiled={"cosine": {}, "l2": {"distance": "l2"}, "l1": {"distance": "l1"}},
    size=4096,
    rows=1,
    small=33,
)

_POINTS = Timing("contextual_similarity", bins=256)
#: rows of the benchmark, by suite: side x side points of `bins` channels
TIMINGS = {
    "quick": [Timing("contextual_similarity", side=16, bins=32)],
    "cpu": [*_POINTS.vary("small", side=[16, 32]), *_POINTS.vary("others", side=[64])],
    "gpu": [*_POINTS.vary("all", side=[32, 64, 128]), *_POINTS.vary("ours", side=[256])],
}

"""What the soft histogram is tried with, by every suite."""

from ..common.bins import Bins
from ..common.cases import Cases, Input, Timing, image, votes, weights_of
from . import OPERATOR, soft_histogram

X, WEIGHTS = Input("x", lambda n, b: (b, n), image), Input("weights", lambda n, b: (b, n), votes)

#: bins that between them take every path: tiled and dense, all windows and boundaries, separable and not, one span and several
BINS = {
    "logistic, circular": Bins(128, boundary="circular"),
    "logistic, open": Bins(257),
    "logistic, reflect": Bins(100, boundary="reflect"),
    "gaussian, reflect": Bins(100, window="gaussian", boundary="reflect"),
    "triangular, open": Bins(129, window="triangular"),
    "bspline, circular": Bins(130, window="bspline", boundary="circular"),
    "triangular, off cells": Bins(129, bandwidth=0.3, boundary="circular", window="triangular"),
    "rbf, open": Bins(100, window="rbf"),
    "inverse quadratic": Bins(40, window="inverse_quadratic", bandwidth=0.2),
    "xu, reflect": Bins(130, window="xu", boundary="reflect"),
    "narrow": Bins(256, -1.0, 2.0, 0.1, "circular"),
    "wide": Bins(256, bandwidth=1.5),
    "few, circular": Bins(9, boundary="circular"),
    "few, gaussian, reflect": Bins(7, window="gaussian", boundary="reflect"),
    "one": Bins(1),
}


#: the benchmark's, and others whose largest kernels are compiled
COMPILED_BINS = {
    "": Bins(256, boundary="circular"),
    "gaussian": Bins(256, boundary="circular", window="gaussian"),
    "bspline, reflect": Bins(256, boundary="reflect", window="bspline"),
    "triangular, open": Bins(256, window="triangular"),
    "triangular, off cells": Bins(256, boundary="circular", bandwidth=0.3, window="triangular"),
    "rbf, open": Bins(256, window="rbf"),
    "xu, open": Bins(256, window="xu"),
    "narrow": Bins(256, boundary="circular", bandwidth=0.1),
    "wide": Bins(256, boundary="circular", bandwidth=2.0),
    "K = 1024": Bins(1024, boundary="circular"),
}
DENSE_BINS = {
    "K = 32": Bins(32, boundary="circular"),
    "K = 256, wide": Bins(256, boundary="circular", bandwidth=20.0),
    "K = 7, gaussian": Bins(7, boundary="reflect", window="gaussian"),
}


def without_boundary(settings: dict[str, object]) -> dict[str, object]:
    """The same with an open boundary."""
    bins = settings["bins"]
    return {**settings, "bins": Bins(bins.count, bins.low, bins.high, bins.bandwidth, "open", bins.window)}


CASES = Cases(
    OPERATOR,
    (X, WEIGHTS),
    call=lambda inputs, backend, bins: soft_histogram(inputs[0], bins, weights=weights_of(inputs, 1), backend=backend),
    settings={label: {"bins": bins} for label, bins in BINS.items()},
    compiled={
        "": {"bins": COMPILED_BINS[""], "weighted": False},
        "weighted": {"bins": COMPILED_BINS[""]},
        **{label: {"bins": bins} for label, bins in DENSE_BINS.items()},
    },
    size=256 * 256,
    rows=32,
    scale=without_boundary,
)


def grown(operator: str, images: list[str]) -> dict[str, list[Timing]]:
    """Rows of the benchmark, by suite, in which samples, bins, batch, bandwidth, dtype and images change, one at a time."""
    row, batch = Timing(operator), Timing(operator, batch=32)
    small, middle = Timing(operator, side=64), Timing(operator, side=128)
    return {
        "quick": [Timing(operator, side=64, bins=64)],
        "cpu": [
            Timing(operator, tier="all"),
            *small.vary("small", bins=[32, 64]),
            *row.vary(side=[64, 128, 512]),
            *row.vary("ours", side=[1024, 2048, 4096]),
            *middle.vary(bins=[32, 64, 256, 1024]),
            *small.vary(batch=[4, 16]),
            *small.vary("ours", batch=[64, 256]),
            *row.vary("ours", bandwidth=[0.2, 1.0, 2.0, 4.0]),
            *middle.vary(bandwidth=[4.0]),
            *middle.vary(dtype=["float16", "bfloat16", "float64"]),
            *row.vary("ours", image=images),
        ],
        "gpu": [
            Timing(operator, batch=32, tier="all"),
            *row.vary(side=[64, 128, 256, 512, 1024, 2048]),
            *row.vary("ours", side=[4096]),
            *batch.vary(bins=[32, 64]),
            *batch.vary("ours", bins=[1024]),
            *row.vary(batch=[4, 16]),
            *row.vary("ours", batch=[64, 256]),
            *batch.vary("ours", bandwidth=[0.2, 1.0, 2.0, 4.0]),
            *batch.vary(dtype=["float16", "bfloat16", "float64"]),
            *batch.vary("ours", image=images),
        ],
    }


TIMINGS = grown("soft_histogram", ["photo", "constant"])

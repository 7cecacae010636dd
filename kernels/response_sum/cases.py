"""What sums of responses are tried with, by every suite."""

from ..common.bins import Bins
from ..common.cases import Cases
from ..soft_histogram.cases import X
from . import OPERATOR, response_sum

CASES = Cases(
    OPERATOR,
    (X,),
    call=lambda inputs, backend, bins: response_sum(inputs[0], bins, backend=backend),
    settings={
        "rbf": {"bins": Bins(23, window="rbf", bandwidth=0.5)},
        "rbf, reflect": {"bins": Bins(64, window="rbf", boundary="reflect")},
        "rbf, circular": {"bins": Bins(7, window="rbf", boundary="circular")},
        "inverse quadratic": {"bins": Bins(40, window="inverse_quadratic", bandwidth=0.2)},
        "logistic": {"bins": Bins(100)},
        "epanechnikov": {"bins": Bins(30, window="epanechnikov", bandwidth=1.5)},
    },
    compiled={
        "": {"bins": Bins(64, window="rbf", bandwidth=0.5)},
        "circular": {"bins": Bins(64, window="rbf", boundary="circular")},
    },
    size=256 * 256,
    rows=32,
)

#: it is timed as a part of what has normalized bins
TIMINGS = {"quick": [], "cpu": [], "gpu": []}

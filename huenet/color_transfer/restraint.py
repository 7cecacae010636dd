"""No worse than the source: how much of the way hues turn where all of it would end farther from the target than it began.

Not in the paper. A network meets pairs unlike any it learnt from; what it makes of them can be measured on the spot, by the
distance that it was trained to make small.
"""

import torch
from torch import Tensor

from ..color import color_weights, wrap_hue
from ..kernels import Bins, histogram_emd, soft_histogram

PARTS = (1.0, 0.75, 0.5, 0.25, 0.0)
"""Of the way; where some are equally near the target, the most."""
HUES = Bins(256, boundary="circular")
"""As the loss and the metrics have them."""


def restrained(source: Tensor, target: Tensor, ways: Tensor) -> Tensor:
    """Which of `PARTS` hues are to turn: all, or where that ends farther from the target than the source is, the one that ends
    nearest; (B, 1, 1, 1).

    HSV (B, 3, h, w) and (B, 3, h', w'), and the ways that the source's hues would turn, (B, 1, h, w).
    """
    votes = color_weights(source).flatten(1)
    wanted = soft_histogram(target[:, 0].flatten(1), HUES, weights=color_weights(target).flatten(1))
    hues = [wrap_hue(source[:, :1] + part * ways).flatten(1) for part in PARTS]
    distances = torch.stack([histogram_emd(hue, wanted, HUES, circular=True, weights=votes) for hue in hues])
    best = torch.tensor(PARTS, dtype=ways.dtype, device=ways.device)[distances.min(0).indices]
    return torch.where(distances[0] <= distances[-1], 1.0, best).view(-1, 1, 1, 1)

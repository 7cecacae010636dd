"""Patches as rows of mutual information, some at a time: neither overlapping patches nor their joint histograms are ever all there.
Nothing but the images is kept; backward, patches are taken and counted again, and their gradients added to their pixels', in
float64."""

import functools
from types import ModuleType

import torch
from torch import Tensor

from ..common.bins import Bins
from ..common.devices import budget
from ..common.shares import over_sum, over_sum_backward
from ..mutual_information import portable as mutual_information
from .patches import Patches

#: samples, or cells of joint histograms, at a time: on a CPU fewer take up to three times as long, and more are no sooner; on other
#: devices enough to keep them busy (chosen, not measured)
CPU_NUMBERS, DEVICE_NUMBERS = 1 << 18, 1 << 24


class _Unheld:
    """Mutual information that holds nothing of a sample's responses: there are many patches."""

    forward = functools.partial(mutual_information.forward, histograms=mutual_information.UNHELD)
    backward = mutual_information.backward


def _at_once(x: Tensor, patches: Patches, bins_x: Bins, bins_y: Bins) -> int:
    return max(1, budget(x, CPU_NUMBERS, DEVICE_NUMBERS) // max(patches.pixels, bins_x.count * bins_y.count))


def forward(
    x: Tensor, y: Tensor, weights: Tensor | None, bins_x: Bins, bins_y: Bins, patches: Patches, marginals: str,
    information: ModuleType | type[_Unheld] = _Unheld,
) -> Tensor:  # fmt: skip
    """(B, *shape), (B, *shape) -> (B, *grid, 4); mutual information by the backend given."""
    result = x.new_empty(len(x), *patches.grid(x.shape[1:]), 4)
    for chosen, places in patches.places(x, _at_once(x, patches, bins_x, bins_y)):
        rows, *_ = _rows(x, y, weights, places)
        result.view(-1, 4)[chosen] = information.forward(*rows, bins_x, bins_y, marginals)[0]
    return result


def backward(
    grad: Tensor, x: Tensor, y: Tensor, weights: Tensor | None, bins_x: Bins, bins_y: Bins, patches: Patches, marginals: str,
    needs: list[bool], information: ModuleType | type[_Unheld] = _Unheld,
) -> list[Tensor]:  # fmt: skip
    """Gradients with respect to x, y and weights, empty where not needed."""
    sums = [torch.zeros(x.numel() if need else 0, dtype=torch.float64, device=x.device) for need in needs]
    for chosen, places in patches.places(x, _at_once(x, patches, bins_x, bins_y)):
        rows, shares, divisor = _rows(x, y, weights, places)
        _, *kept = information.forward(*rows, bins_x, bins_y, marginals)
        grads = information.backward(grad.view(-1, 4)[chosen], *rows, *kept, bins_x, bins_y, marginals, needs)
        for added, part, of_weights, need in zip(sums, grads, (False, False, True), needs):
            if need:
                part = over_sum_backward(part.double(), shares, divisor) if of_weights else part.double()
                _add(added, places.flatten(), part.flatten())
    like = (x, y, x if weights is None else weights)
    return [added.to(z.dtype).view(z.shape if need else 0) for added, z, need in zip(sums, like, needs)]


def _add(sums: Tensor, places: Tensor, parts: Tensor) -> None:
    """Parts added to the sums at these places, many of them the same, in a fixed order: on a CPU as they come, on other devices
    sorted by place."""
    if sums.device.type == "cpu":
        sums.index_add_(0, places, parts)
    else:
        sums.index_put_((places,), parts, accumulate=True)


def _rows(
    x: Tensor, y: Tensor, weights: Tensor | None, places: Tensor
) -> tuple[tuple[Tensor, Tensor, Tensor | None], Tensor | None, Tensor | None]:
    """Samples and shares of patches, (patches, pixels); the shares in float64, and what weights were divided by."""
    x, y = (z.view(-1)[places] for z in (x, y))
    if weights is None:
        return (x, y, None), None, None
    shares, divisor = over_sum(weights.view(-1)[places], torch.float64)
    return (x, y, shares.to(x.dtype)), shares, divisor

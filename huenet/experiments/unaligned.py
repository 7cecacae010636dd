"""Losses between images that show different things, for `style` and `domain`: the contextual loss, and what it is compared with."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..losses import ContextualLoss, Patches

Loss = Callable[[Tensor, Tensor], Tensor]
FEATURES = Patches(size=5, stride=2)
"""Colour patches, where the papers have VGG19."""
_contextual = ContextualLoss(FEATURES)


def gram_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of the Gram matrices of the patches (Gatys et al. 2016), (B, C, H, W) each -> scalar."""
    return (_gram(output) - _gram(target)).square().mean()


def _gram(image: Tensor) -> Tensor:
    """Means over the patches of products of their values, (B, D, D)."""
    points = FEATURES(image).flatten(2)
    return points @ points.mT / points.shape[-1]


def l1_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference at the same places."""
    return (output - target).abs().mean()


LOSSES: dict[str, Loss] = {"contextual": _contextual, "Gram": gram_loss, "L1": l1_loss}


def sliced_distance(x: Tensor, y: Tensor) -> Tensor:
    """How far the patches of two images are apart as sets, wherever they are: the sliced Wasserstein distance, (B,).

    Patches of 3 x 3 pixels are projected on random directions, and sorted values compared (Rabin et al. 2012); in units of a
    pixel's value. None of the losses is made of it.
    """
    return (sorted_projections(x) - sorted_projections(y)).square().mean((1, 2)).sqrt()


def sorted_projections(image: Tensor, directions: int = 64) -> Tensor:
    """(B, C, H, W) -> (B, directions, patches), ascending; the directions are always the same."""
    points = Patches(size=3, stride=1)(image).flatten(2)
    along = torch.randn(directions, points.shape[1], generator=torch.Generator().manual_seed(0))
    return (along / along.norm(dim=1, keepdim=True) @ points).sort(-1).values

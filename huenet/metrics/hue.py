"""The metrics of the Hue-Net paper: how near two photos' hues are, and how much one tells about the other.

Hues are counted in hard bins. A grey pixel has no hue: pixels vote by saturation * value. Both metrics depend
on the size of the pictures (fewer pixels share more bins by chance), so quote the size with every number.
"""

import torch
from torch import Tensor

from ..color import NO_HUE, color_weights, rgb_to_hsv
from ..kernels import emd
from .counting import count_cells


def hue_histogram(rgb: Tensor, bins: int = 256) -> Tensor:
    """Hard histogram (B, bins) of the hues of RGB pictures (B, 3, H, W).

    Each pixel counts by its saturation * value. float64 on the CPU; every row sums to 1. A picture without
    hue (a mean chroma of at most `huenet.color.NO_HUE`) has none to count: its row is uniform.
    """
    hue, weights = _hues_and_votes(rgb)
    counts = count_cells(_bin(hue, bins), weights, bins)
    total = counts.sum(dim=1, keepdim=True)
    return torch.where(weights.mean(1, keepdim=True) <= NO_HUE, 1.0 / bins, counts / total.where(total != 0, 1.0))


def hue_joint_histogram(first: Tensor, second: Tensor, bins: int = 256) -> Tensor:
    """Hard joint histogram (B, bins, bins) of the hues of two batches (B, 3, H, W) of one size.

    Each pixel counts by the first picture's saturation * value. float64 on the CPU; each histogram sums to 1,
    or to 0 where the first picture has no hue.
    """
    hue, weights = _hues_and_votes(first)
    other, other_weights = _hues_and_votes(second)
    weights = torch.where(other_weights.isnan(), torch.nan, weights)
    cell = _bin(hue, bins) * bins + _bin(other, bins)
    counts = count_cells(cell, weights, bins * bins)
    total = counts.sum(dim=1, keepdim=True)
    share = torch.where(weights.mean(1, keepdim=True) <= NO_HUE, 0.0, counts / total.where(total != 0, 1.0))
    return share.unflatten(1, (bins, bins))


def hue_emd(first: Tensor, second: Tensor, bins: int = 256) -> Tensor:
    """Circular earth mover's distance (B,) between the hue histograms of two batches (B, 3, H, W).

    Eq. 14 in the RMS form of Eq. 12: from 0 to sqrt(1/2), for two opposite hues. Sizes may differ.
    """
    return emd(hue_histogram(first, bins), hue_histogram(second, bins), circular=True)


def hue_mutual_information(first: Tensor, second: Tensor, bins: int = 256) -> Tensor:
    """Relative mutual information I / H (B,) of the hues of two batches (B, 3, H, W) of one size, in [0, 1].

    It is 1 - D_MI of Eq. 17. Each pixel counts by the first picture's saturation * value. Where the joint
    entropy is 0 nothing can be shared: 0.
    """
    joint = hue_joint_histogram(first, second, bins)
    entropy, first_entropy, second_entropy = (
        torch.special.entr(p).flatten(1).sum(dim=1) for p in (joint, joint.sum(dim=2), joint.sum(dim=1))
    )
    information = (first_entropy + second_entropy - entropy).clamp(min=0.0)
    return torch.where(entropy == 0, 0.0, information / entropy.where(entropy != 0, 1.0))


def _hues_and_votes(rgb: Tensor) -> tuple[Tensor, Tensor]:
    hsv = rgb_to_hsv(rgb.detach().cpu())
    return hsv[:, 0].flatten(1), color_weights(hsv).flatten(1).double()


def _bin(hue: Tensor, bins: int) -> Tensor:
    return (hue.double().nan_to_num() * bins).long()  # NaN's vote is NaN; a hue below 1 in float32 is below `bins` in float64

"""Classical colour transfer, to compare Hue-Net with: statistics in Lab, and matching of hue histograms.

Both take RGB in [0, 1], one picture (3, H, W) or a batch (B, 3, H, W), source and target of any two sizes,
and return what the source is: same shape, dtype and device.
"""

import warnings

import numpy as np
import torch
from torch import Tensor

from ..color import hsv_to_rgb, rgb_to_hsv

_CONSTANT = 1e-6  # a Lab channel (about 100 wide) that deviates less has no contrast to scale, only rounding


def reinhard(source: Tensor, target: Tensor) -> Tensor:
    """The source with the target's mean and standard deviation in every channel of CIELAB (D65).

    Colours outside RGB's gamut are clipped. Reinhard, Ashikhmin, Gooch and Shirley, "Color transfer between images", 2001, whose
    l-alpha-beta is replaced by CIELAB, as most implementations do. A channel in which the source is constant is only shifted.
    """
    from skimage import color as skimage_color  # of the extra `train`, and where used only

    _check(source, target)
    pixels = (image.detach().cpu().double().numpy() for image in (source, target))
    lab, model = (skimage_color.rgb2lab(image, channel_axis=-3) for image in pixels)
    (mean, deviation), (wanted_mean, wanted_deviation) = (
        (image.mean(axis=(-2, -1), keepdims=True), image.std(axis=(-2, -1), keepdims=True)) for image in (lab, model)
    )
    constant = deviation < _CONSTANT
    scale = np.where(constant, 1.0, wanted_deviation / np.where(constant, 1.0, deviation))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Conversion from CIE-LAB")  # colours out of gamut: clipped below
        rgb = skimage_color.lab2rgb((lab - mean) * scale + wanted_mean, channel_axis=-3)
    return torch.from_numpy(rgb.clip(0.0, 1.0)).to(source)


def match_hue(source: Tensor, target: Tensor) -> Tensor:
    """The source with its hues mapped so that their histogram becomes the target's.

    Saturation and value are kept. Pixels count by saturation * value. The map is the monotone one between the two cumulative
    distributions, from where both circles are cut: at the hue where their difference has its median, which turns the hues least in
    total (Rabin, Delon and Gousseau, "Transportation distances on the circle", 2011). Pixels of one hue stay of one hue. Where
    either picture is grey throughout there is nothing to match, and the source is returned.
    """
    _check(source, target)
    source_hsv, target_hsv = (rgb_to_hsv(image.detach().cpu().double()) for image in (source, target))
    pictures = source_hsv.reshape(-1, *source_hsv.shape[-3:])
    models = target_hsv.reshape(-1, *target_hsv.shape[-3:])
    matched = [_match_one(picture, model) for picture, model in zip(pictures, models, strict=True)]
    return hsv_to_rgb(torch.stack(matched)).reshape(source.shape).to(source)


def _match_one(picture: Tensor, model: Tensor) -> Tensor:
    hues, group, weights = _hue_votes(picture)
    wanted, _, wanted_weights = _hue_votes(model)
    if not weights.sum() or not wanted_weights.sum():
        return picture
    cut = _best_cut(hues, weights, wanted, wanted_weights)
    order, wanted_order = np.argsort((hues - cut) % 1.0), np.argsort((wanted - cut) % 1.0)
    cumulative = np.cumsum(weights[order])
    quantile = (cumulative - 0.5 * weights[order]) / cumulative[-1]  # the middle of each hue's own mass
    wanted_cumulative = np.cumsum(wanted_weights[wanted_order])
    chosen = np.searchsorted(wanted_cumulative, quantile * wanted_cumulative[-1])
    mapped = np.empty_like(hues)
    mapped[order] = wanted[wanted_order][chosen.clip(max=len(wanted) - 1)]
    hue = torch.from_numpy(mapped[group]).reshape(picture.shape[1:])
    return torch.stack([hue, picture[1], picture[2]])


def _hue_votes(hsv: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct hues of a picture in order, the index of every pixel's own, and the weight of each."""
    hue, saturation, value = hsv.flatten(1).numpy()
    hues, group = np.unique(hue, return_inverse=True)
    return hues, group, np.bincount(group, saturation * value)


def _best_cut(hues: np.ndarray, weights: np.ndarray, wanted: np.ndarray, wanted_weights: np.ndarray) -> float:
    """The hue at which the difference of the cumulative distributions is the median over the circle."""
    at = np.concatenate([hues, wanted])
    order = np.argsort(at)
    steps = np.concatenate([weights / weights.sum(), -wanted_weights / wanted_weights.sum()])[order]
    at, difference = at[order], np.cumsum(steps)
    length = np.diff(at, append=at[0] + 1.0)  # the arc over which the difference keeps this value
    by_difference = np.argsort(difference)
    middle = np.searchsorted(np.cumsum(length[by_difference]), 0.5)
    arc = by_difference[min(middle, len(by_difference) - 1)]
    return at[arc] + 0.5 * length[arc]  # inside the arc: no hue is split


def _check(source: Tensor, target: Tensor) -> None:
    for name, image in (("source", source), ("target", target)):
        if image.ndim not in (3, 4) or image.shape[-3] != 3 or not image.is_floating_point():
            raise ValueError(
                f"{name} must be floating-point RGB of shape (3, H, W) or (B, 3, H, W), got {image.dtype} {tuple(image.shape)}"
            )
    if source.shape[:-3] != target.shape[:-3]:
        raise ValueError(f"source and target must be as many, got {tuple(source.shape)} and {tuple(target.shape)}")

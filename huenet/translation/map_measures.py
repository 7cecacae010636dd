"""How near a translated photo is to its true map, and how much its values depend on the photo's.

The share of pixels within 5 and 10 is of the SCC paper's Table 2, as GcGAN's code counts it; PSNR and SSIM are HarmonicGAN's.
"""

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from ..kernels import Bins, mutual_information, squared_mutual_information

TITLES = {
    "rmse": "RMSE",
    "within_5": "within 5, %",
    "within_10": "within 10, %",
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "rsmi": "rSMI",
    "mi": "MI, nats",
}
DIGITS = {"rmse": 1, "within_5": 1, "within_10": 1, "psnr": 1, "ssim": 3, "rsmi": 4, "mi": 3}
MI_BINS = Bins(64, window="box")


def measures(photo: Tensor, output: Tensor, truth: Tensor) -> dict[str, float]:
    """Of images (N, 3, S, S) in [0, 1], the means over the images of

    ``rmse``, the root mean square error over pixels and channels, in 255ths; ``within_5`` and ``within_10``, the share of pixels,
    in percent, no channel of which is off by 5 or 10 255ths; ``psnr`` and ``ssim``, scikit-image's; ``rsmi`` and ``mi``, as by
    `dependence`. Outputs are rounded to bytes before, as files are.
    """
    made, true = ((255 * images).round() for images in (output, truth))
    off = (made - true).abs()
    largest = off.amax(1)
    rsmi, mi = dependence(photo, output)
    pairs = [tuple(image.permute(1, 2, 0).byte().numpy() for image in pair) for pair in zip(true, made)]
    with np.errstate(divide="ignore"):  # of equal images PSNR is infinite
        psnr = [peak_signal_noise_ratio(*pair, data_range=255) for pair in pairs]
    ssim = [structural_similarity(*pair, data_range=255, channel_axis=-1) for pair in pairs]
    return {
        "rmse": off.square().mean((1, 2, 3)).sqrt().mean().item(),
        "within_5": 100 * (largest < 5).float().mean().item(),
        "within_10": 100 * (largest < 10).float().mean().item(),
        "psnr": float(np.mean(psnr)),
        "ssim": float(np.mean(ssim)),
        "rsmi": rsmi.mean().item(),
        "mi": mi.mean().item(),
    }


def dependence(photo: Tensor, output: Tensor) -> tuple[Tensor, Tensor]:
    """rSMI, as published, and mutual information in nats by 64 hard bins, of the values of photos (N, 3, S, S) in [0, 1] and those
    at the same places and channels of what was made of them: (N,) each."""
    values = photo.flatten(1), output.flatten(1)
    rsmi = squared_mutual_information(*(2 * some - 1 for some in values), sign=1)
    found: Tensor = mutual_information(*values, MI_BINS).information
    return rsmi, found

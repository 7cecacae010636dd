"""Differentiable histograms, mutual information and earth mover's distances for images: drop-in PyTorch functions.

    from huenet.kernels import Bins, histogram_emd, mutual_information, soft_histogram

    hue = Bins(256, boundary="circular")
    loss = histogram_emd(output, soft_histogram(target, hue), hue)                           # (B, N) samples -> (B,)
    loss = 1 - mutual_information(source, output, hue).relative

Samples are on the last dimension, any leading dimensions are a batch. Gradients are written by hand; nothing of size samples x
bins is stored. Functions are differentiable once (`backend="reference"` any number of times) and work under `torch.compile`
(with `dynamic=True`, pass `Bins`, not an int). `torch.func` transforms and forward-mode derivatives raise, except with
`backend="reference"`.
"""

from .common.bins import Bins
from .contextual_similarity import contextual_similarity
from .emd import emd, squared_emd
from .harmonic_energy import harmonic_energy
from .histogram_emd import histogram_emd
from .joint_histogram import joint_histogram
from .local_mutual_information import local_mutual_information
from .mutual_information import MutualInformation, mutual_information, smoothed_information
from .patch_histogram import patch_histogram
from .response_sum import response_sum
from .soft_histogram import soft_histogram
from .squared_mutual_information import squared_mutual_information

__all__ = [
    "Bins",
    "MutualInformation",
    "contextual_similarity",
    "emd",
    "histogram_emd",
    "harmonic_energy",
    "joint_histogram",
    "local_mutual_information",
    "mutual_information",
    "patch_histogram",
    "response_sum",
    "smoothed_information",
    "soft_histogram",
    "squared_emd",
    "squared_mutual_information",
]

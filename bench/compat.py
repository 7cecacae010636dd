"""Functions of `huenet.compat` beside those that they stand in for, at these libraries' own usual settings.

The float64 truth is the original's, where that fits into memory. What is no package that can be installed is its formula, written
out.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from . import images
from .cases import Case

#: in bin widths, of kornia's `histogram`, which has no default
BANDWIDTH = 0.5
#: by operator: what people call, and the module from which to import it instead
CALLS = {
    "compat_monai": ("monai.losses.GlobalMutualInformationLoss", "huenet.compat.monai"),
    "compat_kornia_histogram": ("kornia.enhance.histogram.histogram", "huenet.compat.kornia"),
    "compat_kornia_image": ("kornia.enhance.image_histogram2d", "huenet.compat.kornia"),
    "compat_kornia_information": ("kornia.losses.mutual_information_loss", "huenet.compat.kornia"),
    "compat_histogan": ("RGBuvHistBlock of HistoGAN", "huenet.compat.histogan"),
    "compat_contextual": ("contextual_loss of contextual_loss_pytorch", "huenet.compat.contextual"),
}


def volumes(case: Case) -> tuple[Tensor, Tensor]:
    """Two volumes (1, 1, D, H, W) that depend on each other, in [0, 1)."""
    first, noise = torch.rand(2, 1, 1, *3 * [case.side], generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    return first, (1 - first + 0.2 * noise) / 1.2


def feature_maps(case: Case) -> tuple[Tensor, Tensor]:
    """Two feature maps (B, C, H, W), the one that of the other in another order, with noise."""
    return tuple(points.mT.unflatten(2, (case.side, case.side)).contiguous() for points in images.matching_points(case))


def monai(module: Any, case: Case, **backend: str) -> Any:
    """MONAI's loss of module `monai.losses`, or ours: one number for each item."""
    loss = module.GlobalMutualInformationLoss(num_bins=case.bins, reduction="none", **backend)
    return lambda given: loss(given.x, given.y)


def kornia_histogram(module: Any, case: Case, **backend: str) -> Any:
    def run(given: Any) -> Tensor:
        centers = (torch.arange(case.bins, dtype=given.x.dtype, device=given.x.device) + 0.5) / case.bins
        return module.histogram(given.x, centers, centers.new_tensor(BANDWIDTH / case.bins), **backend)

    return run


def kornia_image(module: Any, case: Case, **backend: str) -> Any:
    return lambda given: module.image_histogram2d(given.x, 0.0, 1.0, case.bins, **backend)[0]


def kornia_information(module: Any, case: Case, **backend: str) -> Any:
    return lambda given: module.mutual_information_loss(given.x, given.y, num_bins=case.bins, **backend)


def histogan(case: Case, backend: str) -> Any:
    from huenet.compat.histogan import RGBuvHistBlock

    block = RGBuvHistBlock(h=case.bins, insz=case.side, backend=backend)
    return lambda given: block(given.x)


def histogan_formula(case: Case) -> Any:
    """RGB-uv histograms by inverse-quadratic kernels of sigma 0.02 (Afifi et al. 2021, Eq. 1-4)."""

    def run(given: Any) -> Tensor:
        image = given.x.clamp(0, 1).flatten(2)
        logs, brightness = torch.log(image + 1e-6), (image.square().sum(1) + 1e-6).sqrt()
        centers = torch.linspace(-3, 3, case.bins, dtype=torch.float64, device=image.device)
        kernel = lambda u: (1 / (1 + ((u.unsqueeze(-1) - centers) / 0.02).square())).to(image.dtype)  # noqa: E731
        planes = []
        for first, second, third in ((0, 1, 2), (1, 0, 2), (2, 0, 1)):
            u, v = (kernel(logs[:, first] - logs[:, other]) for other in (second, third))
            planes.append((brightness.unsqueeze(-1) * u).mT @ v)
        histogram = torch.stack(planes, 1)
        return histogram / (histogram.sum((1, 2, 3), keepdim=True) + 1e-6)

    return run


def contextual(case: Case, backend: str) -> Any:
    from huenet.compat.contextual import contextual_loss

    return lambda given: contextual_loss(given.x, given.y, backend=backend)


def contextual_formula(case: Case) -> Any:
    """The contextual loss of cosine distances (Mechrez et al. 2018, Eq. 1-5), as contextual_loss_pytorch has it."""

    def run(given: Any) -> Tensor:
        mean = given.y.mean((0, 2, 3), keepdim=True)
        x, y = (normalize((z - mean).flatten(2), dim=1) for z in (given.x, given.y))
        distance = 1 - x.mT @ y
        relative = distance / (distance.amin(2, keepdim=True) + 1e-5)
        similarity = torch.softmax((1 - relative) / 0.5, 2).amax(1).mean(1)
        return -torch.log(similarity + 1e-5).mean()

    return run


def fits(samples: int, bins: int) -> bool:
    """Whether the original's dense float64 tensors are of a size that memory has: half a dozen of 2 GB."""
    return samples * bins <= 4 * images.DENSE

"""A program as a user would write it, for `mypy --strict` to read: what huenet's functions take and return, as users meet it.

It is read, and not run: `make lint` reads it beside the package, `make dist` where the wheel is installed.
"""

from pathlib import Path
from typing import assert_type

from PIL import Image
from torch import Tensor, nn

import huenet
from huenet.color_transfer.config import Config
from huenet.color_transfer.painter import Colors, Painter
from huenet.color_transfer.presets import PRESETS
from huenet.compat import histogan, kornia, monai, voxelmorph
from huenet.compat import torch as histograms
from huenet.distributed import all_reduce_histogram
from huenet.kernels import (
    Bins,
    MutualInformation,
    contextual_similarity,
    emd,
    harmonic_energy,
    histogram_emd,
    joint_histogram,
    local_mutual_information,
    mutual_information,
    patch_histogram,
    response_sum,
    smoothed_information,
    soft_histogram,
    squared_emd,
    squared_mutual_information,
)
from huenet.kernels.common.bins import MeasuredBins
from huenet.losses import (
    CircularEMDLoss,
    ContextualLoss,
    HarmonicLoss,
    HueNetLoss,
    LossParts,
    MutualInformationLoss,
    StructureConsistencyLoss,
)
from huenet.metrics import HueEMD, NormalizedMutualInformation
from huenet.metrics.hue import hue_emd
from huenet.translation.translator import Translator


def operators(x: Tensor, y: Tensor, weights: Tensor | None) -> Tensor:
    bins = Bins(64, boundary="circular", window="gaussian")
    assert_type(bins.centers, Tensor)
    assert_type(Bins.of(x, 32, dim=-1), MeasuredBins)
    assert_type(Bins.between(0.0, x.amax(), 32).recount(8), MeasuredBins)
    histogram = soft_histogram(x, bins, weights=weights)
    assert_type(histogram, Tensor)
    assert_type(soft_histogram(x, 256), Tensor)
    assert_type(joint_histogram(x, y, bins, Bins(7), weights=weights), Tensor)
    information = mutual_information(x, y, bins, weights=weights)
    assert_type(information, MutualInformation)
    assert_type(information.relative, Tensor)
    assert_type(information.normalized + information.conditional_x, Tensor)
    assert_type(local_mutual_information(x, y, 16, patch=(5, 5), stride=2), MutualInformation)
    assert_type(MutualInformation.of_joint(joint_histogram(x, y, bins)), MutualInformation)
    assert_type(smoothed_information(joint_histogram(x, y, bins), 1e-7, 1e-7), Tensor)
    assert_type(emd(histogram, histogram, circular=True, order=2), Tensor)
    assert_type(squared_emd(histogram, histogram, circular=True), Tensor)
    assert_type(histogram_emd(x, histogram, bins, weights=weights, backend="torch"), Tensor)
    assert_type(squared_mutual_information(x, y, centers=50), Tensor)
    assert_type(contextual_similarity(x, y, distance="l2", reduce="source"), Tensor)
    assert_type(patch_histogram(x, 16, patch=8, stride=4), Tensor)
    assert_type(harmonic_energy(x, y, sigma=0.1), Tensor)
    assert_type(response_sum(x, bins), Tensor)
    assert_type(all_reduce_histogram(histogram, x.shape[-1]), Tensor)
    return histogram_emd(x, histogram, bins).mean()


def losses(source: Tensor, target: Tensor, output: Tensor) -> Tensor:
    circular: nn.Module = CircularEMDLoss(bins=256)
    loss = 100 * CircularEMDLoss(bins=256)(output, target) + 25 * MutualInformationLoss(bins=64)(output, source)
    loss = (
        loss + StructureConsistencyLoss()(source, output) + ContextualLoss()(output, target) + HarmonicLoss(low=-1)(source, output)
    )
    assert_type(loss, Tensor)
    parts = HueNetLoss()(source, target, output)
    assert_type(parts, LossParts)
    assert_type(parts.total, Tensor)
    return loss + sum(parameter.sum() for parameter in circular.parameters())


def other_libraries(x: Tensor, y: Tensor) -> None:
    assert_type(kornia.histogram(x, y, x.new_tensor(0.1)), Tensor)
    assert_type(monai.GlobalMutualInformationLoss(num_bins=64)(x, y), Tensor)
    assert_type(voxelmorph.NMI(bin_centers=y, vol_size=(8, 8), sigma_ratio=0.5).loss(x, y), Tensor)
    assert_type(histogan.RGBuvHistBlock(h=64)(x), Tensor)
    assert_type(histograms.histc(x, 10), Tensor)


def metrics(source: Tensor, output: Tensor) -> float:
    metric = NormalizedMutualInformation(bins=64)
    metric.update(source, output)
    assert_type(metric.compute(), Tensor)
    hue = HueEMD()
    hue.update(source, output)
    assert_type(hue.compute(), Tensor)
    assert_type(hue_emd(source, output), Tensor)
    return metric.compute().item()


def painting(checkpoint: Path, image: Image.Image, pixels: Tensor) -> None:
    assert_type(huenet.load(), Painter)
    paint: Painter = huenet.load(checkpoint, max_megapixels=100)
    translate: Translator = huenet.load(checkpoint)  # only the file says which of the two it is
    assert_type(translate("photo.jpg", "b-to-a"), Image.Image)
    assert_type(translate(pixels), Tensor)
    assert_type(paint("source.jpg", Path("target.jpg")), Image.Image)
    assert_type(paint(image, image), Image.Image)
    assert_type(paint(pixels, image), Tensor)
    colors = paint.colors("target.jpg")
    assert_type(colors, Colors)
    paint(image, colors).save("painted.png")
    assert_type(PRESETS["small"], Config)

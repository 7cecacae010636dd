"""Figures like the Hue-Net paper's 2, 3 and 6.

    save(color_transfer(source, target, output), "figure2.pdf")    # huenet.plotting.save

All take RGB in [0, 1] as (3, H, W) or (B, 3, H, W) on any device, and return matplotlib figures.
"""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

from ..color import color_weights, hsv_to_rgb, rgb_to_hsv
from ..metrics.hue import hue_emd, hue_histogram, hue_joint_histogram, hue_mutual_information
from ..plotting import COLUMN, PAGE, SMALL, TITLE, show
from .baselines import match_hue, reinhard

_VIVID = 0.25  # a pixel of this saturation * value, or more, shows its hue in full


def color_transfer(source: Tensor, target: Tensor, output: Tensor, bins: int = 256) -> Figure:
    """Figure 2: source, target and output, below them their hue channels and hue histograms.

    A batch is stacked, three rows for each example. Hue channels fade to white where a pixel has little colour, and such pixels
    count little in the histograms. Above the histograms stands the circular EMD (RMS) to the target's.
    """
    columns = {"source": _batch(source), "target": _batch(target), "output": _batch(output)}
    examples = len(columns["source"])
    figure = Figure(figsize=(COLUMN, 2.95 * examples))
    for index, block in enumerate(figure.subfigures(examples, 1, squeeze=False, hspace=0.0)[:, 0]):
        grid = {"left": 0.055, "right": 0.995, "bottom": 0.035, "top": 0.945, "wspace": 0.06, "hspace": 0.06}
        axes = block.subplots(3, 3, height_ratios=(1, 1, 0.6), gridspec_kw=grid)
        histograms = {title: hue_histogram(images[index, None], bins)[0] for title, images in columns.items()}
        top = 1.3 * max(histogram.max().item() for histogram in histograms.values())  # the note stands above the bars
        for (image_axis, hue_axis, histogram_axis), (title, images) in zip(axes.T, columns.items()):
            show(image_axis, images[index], title)
            show(hue_axis, _hue_channel(images[index]))
            _draw_hue_histogram(histogram_axis, histograms[title].numpy(), top)
            if title != "target":
                distance = hue_emd(columns["target"][index, None], images[index, None], bins).item()
                place = {"transform": histogram_axis.transAxes, "ha": "right", "va": "top"}
                histogram_axis.text(0.98, 0.96, f"EMD {distance:.3f}", fontsize=SMALL, **place)
        for axis, label in zip(axes[:, 0], ("image", "hue channel", "hue histogram")):
            axis.set_ylabel(label, fontsize=SMALL)
    return figure


def joint_histograms(source: Tensor, target: Tensor, output: Tensor, bins: int = 256) -> Figure:
    """Figure 3: joint histograms of the source's hue with the target's and the output's, one picture each.

    Hard bins, weighted by the source's saturation * value, on one logarithmic colour scale; empty cells are
    white. Above each stands its relative mutual information.
    """
    source, target, output = (_batch(image)[:1] for image in (source, target, output))
    joints = [hue_joint_histogram(source, other, bins)[0].numpy() for other in (target, output)]
    # One pixel of 256 x 256 weighs about 1.5e-5.
    scale = LogNorm(1e-5, max(1e-4, *(joint.max() for joint in joints)))
    figure = Figure(figsize=(COLUMN, 1.75))
    axes = figure.subplots(1, 2, gridspec_kw={"left": 0.11, "right": 0.86, "bottom": 0.2, "top": 0.9, "wspace": 0.32})
    for axis, joint, other, name in zip(axes, joints, (target, output), ("target", "output")):
        shown = np.ma.masked_equal(joint.T, 0.0)
        image = axis.imshow(shown, norm=scale, cmap="viridis_r", origin="lower", extent=(0, 1, 0, 1), interpolation="nearest")
        information = hue_mutual_information(source, other, bins).item()
        axis.set_title(f"I / H = {information:.3f}", fontsize=TITLE, pad=3)
        _hue_bar(axis, "x", "source hue")
        _hue_bar(axis, "y", f"{name} hue")
    bar = figure.colorbar(image, cax=figure.add_axes((0.885, 0.2, 0.018, 0.7)), extend="min")
    bar.ax.tick_params(labelsize=SMALL, width=0.5, length=2)
    bar.outline.set_linewidth(0.5)
    return figure


def comparison(source: Tensor, target: Tensor, output: Tensor, without_mi: Tensor | None = None) -> Figure:
    """Figure 6: source, target and Hue-Net's output beside the output of a model trained without the mutual information (where
    given), Reinhard's and hue histogram matching's; one row for each picture of the batch."""
    source, target = _batch(source), _batch(target)
    columns = {"source": source, "target": target, "Hue-Net": _batch(output)}
    if without_mi is not None:
        columns[r"without $\mathcal{L}_{\mathrm{MI}}$"] = _batch(without_mi)
    columns |= {"Reinhard": reinhard(source, target), "hue matching": match_hue(source, target)}
    gap, title_height = 0.03, 0.18
    side = 0.99 * PAGE / (len(columns) + gap * (len(columns) - 1))
    row = side * source.shape[-2] / source.shape[-1]
    height = row * (len(source) + gap * (len(source) - 1)) + title_height
    figure = Figure(figsize=(PAGE, height))
    grid = {"left": 0.005, "right": 0.995, "bottom": 0.0, "top": 1.0 - title_height / height, "wspace": gap, "hspace": gap}
    axes = figure.subplots(len(source), len(columns), squeeze=False, gridspec_kw=grid)
    for column, (title, images) in enumerate(columns.items()):
        for row, image in enumerate(images):
            show(axes[row, column], image, title if row == 0 else None)
    return figure


def _batch(image: Tensor) -> Tensor:
    image = image.detach().cpu().float().clamp(0.0, 1.0)
    return image if image.ndim == 4 else image[None]


def _hue_channel(image: Tensor) -> Tensor:
    hsv = rgb_to_hsv(image)
    shown = (color_weights(hsv)[0] / _VIVID).clamp(max=1.0)
    return hsv_to_rgb(torch.stack([hsv[0], shown, torch.ones_like(shown)]))


def _hue_colors(count: int) -> np.ndarray:
    """(count, 3) RGB of the hues at the centres of `count` bins."""
    hue = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return hsv_to_rgb(torch.stack([hue, torch.ones_like(hue), torch.ones_like(hue)])[:, None])[:, 0].T.numpy()


def _draw_hue_histogram(axis: Axes, histogram: np.ndarray, top: float) -> None:
    edges, zero = np.linspace(0.0, 1.0, len(histogram) + 1), np.zeros_like(histogram)
    corners = [edges[:-1], zero, edges[:-1], histogram, edges[1:], histogram, edges[1:], zero]
    bars = np.stack(corners, axis=1).reshape(-1, 4, 2)
    colors = _hue_colors(len(histogram))
    axis.add_collection(PolyCollection(bars, facecolors=colors, linewidths=0, antialiaseds=False))
    axis.set(xlim=(0, 1), ylim=(0, top), yticks=[])
    axis.spines[["top", "right", "left"]].set_visible(False)
    _hue_bar(axis, "x")


def _hue_bar(axis: Axes, along: str, label: str | None = None) -> None:
    """The circle of hues as a strip outside the axis, whose own lines are thin."""
    axis.spines[:].set_linewidth(0.5)
    colors, across = _hue_colors(256)[None], along == "x"
    strip = axis.inset_axes((0, -0.09, 1, 0.07) if across else (-0.09, 0, 0.07, 1))
    strip.imshow(colors if across else colors.transpose(1, 0, 2)[::-1], aspect="auto", extent=(0, 1, 0, 1))
    (axis.set_xticks if across else axis.set_yticks)([])
    (strip.set_xlabel if across else strip.set_ylabel)(label or "", fontsize=SMALL, labelpad=2)
    strip.set(xticks=[], yticks=[])
    strip.spines[:].set_visible(False)

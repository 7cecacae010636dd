"""The figures are drawn, without pyplot, from any batch; what they show is checked in the pixels where it can
be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from huenet.color_transfer.baselines import match_hue
from huenet.color_transfer.figures import color_transfer, comparison, joint_histograms
from huenet.data.garden import garden
from huenet.plotting import COLUMN, PAGE, save


@pytest.fixture(scope="module")
def triple() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    source, target = garden(4, 32, seed=0).pictures(range(4)).split(2)
    return source, target, match_hue(source, target)


@pytest.mark.parametrize("draw", [color_transfer, joint_histograms, comparison])
@pytest.mark.parametrize("batched", [True, False])
def test_figures_are_drawn(draw, batched: bool, triple, tmp_path: Path) -> None:
    figure = draw(*(image if batched else image[0] for image in triple))
    assert isinstance(figure, Figure)
    width = PAGE if draw is comparison else COLUMN
    assert figure.get_size_inches()[0] == width
    save(figure, tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as image:
        assert abs(image.width - 300 * width) < 0.1 * 300 * width  # at 300 dots per inch, cropped to what is drawn
        assert np.asarray(image.convert("L")).std() > 10


def test_figures_are_saved_as_what_the_suffix_says(triple, tmp_path: Path) -> None:
    save(joint_histograms(*(image[0] for image in triple)), tmp_path / "figure.pdf")
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")


def test_figures_tell_the_metrics(triple) -> None:
    def words(figure: Figure) -> list[str]:
        return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]

    source, target, _ = triple
    assert words(color_transfer(source[0], target[0], target[0])).count("EMD 0.000") == 1  # the output is the target
    assert "I / H = 1.000" in words(joint_histograms(source[0], target[0], source[0]))  # the output is the source


def test_comparison_shows_all_painters(triple) -> None:
    source, target, output = triple
    assert len(comparison(source, target, output).axes) == 2 * 5
    figure = comparison(source, target, output, without_mi=source)
    titles = [axis.get_title() for axis in figure.axes[:6]]
    assert titles[:3] == ["source", "target", "Hue-Net"] and "MI" in titles[3] and titles[4:] == ["Reinhard", "hue matching"]


@pytest.mark.parametrize("draw", [color_transfer, joint_histograms, comparison])
def test_grey_pictures(draw, tmp_path: Path) -> None:
    grey = torch.full((3, 16, 16), 0.5)
    save(draw(grey, grey, grey), tmp_path / "grey.png")


def test_sizes_may_differ_from_square(triple, tmp_path: Path) -> None:
    source, target, output = (image[..., :20, :] for image in triple)
    save(comparison(source, target, output), tmp_path / "wide.png")
    save(color_transfer(source, triple[1], output), tmp_path / "mixed.png")

"""What photos to maps are measured by, and drawn."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from huenet.plotting import save
from huenet.translation.map_figures import scatter, side_by_side
from huenet.translation.map_measures import DIGITS, TITLES, dependence, measures
from huenet.translation.map_trials import VARIANTS, trials, untrained


def images(seed: int) -> Tensor:
    return torch.randint(40, 200, (3, 3, 16, 16), generator=torch.Generator().manual_seed(seed)) / 255


def test_errors_of_a_known_size() -> None:
    photo, truth = images(0), images(1)
    off = torch.zeros(3, 3, 16, 16)
    off[:, 0, :, :4], off[:, 1, :, 4:8], off[:, 2, :, 8:12] = 4, 5, 20  # a quarter of the pixels each, in a channel of their own
    found = measures(photo, truth + off / 255, truth)
    assert found.keys() == TITLES.keys() == DIGITS.keys()
    mean_square = (4**2 + 5**2 + 20**2) / 4 / 3
    assert found["rmse"] == pytest.approx(math.sqrt(mean_square), rel=1e-6)
    assert found["within_5"] == pytest.approx(50) and found["within_10"] == pytest.approx(75)
    assert found["psnr"] == pytest.approx(10 * math.log10(255**2 / mean_square), rel=1e-9)
    assert 0.5 < found["ssim"] < 1


def test_the_truth_has_no_error_and_dependence_is_of_the_photo() -> None:
    photo, truth = images(0), images(1)
    found = untrained(photo, truth, images(2))
    exact = found["the true map"]
    assert (exact["rmse"], exact["within_5"], exact["ssim"], exact["psnr"]) == (0, 100, 1, math.inf)
    itself, flat = found["the photo itself"], found["one colour, the maps' mean"]
    assert itself["rsmi"] > 10 * abs(exact["rsmi"]) and itself["mi"] > exact["mi"] > flat["mi"]
    assert flat["rmse"] < itself["rmse"]


def test_dependence_knows_no_order_of_values() -> None:
    photo = images(0)
    # entropy of 64 bins is at most log 64; an image determines itself and its negative
    for output in (photo, 1 - photo):
        rsmi, mi = dependence(photo, output)
        assert (rsmi > 0.1).all() and (mi > 3).all() and (mi <= math.log(64) + 1e-6).all()


def test_trials_are_apart_and_a_seed_is_whole_first() -> None:
    weights = {"structure": 5.0, "harmonic": 1.0}
    plan = trials(Path("out"), [*VARIANTS], 2, 64, 10, weights)
    assert [trial.seed for trial in plan] == [0] * 5 + [1] * 5 and len({trial.folder for trial in plan}) == 10
    others = trials(Path("out"), [*VARIANTS], 1, 64, 10, {**weights, "structure": 2.0})
    changed = {trial.variant for trial, other in zip(plan, others) if trial.folder != other.folder}
    assert changed == {"cyclegan + structure", "gan + structure"}


def test_figures_can_be_drawn(tmp_path: Path) -> None:
    photo, truth = images(0), images(1)
    save(side_by_side({"photo": photo, "cyclegan + structure": truth}), tmp_path / "side.png")
    save(scatter(photo[0], {"cyclegan": truth[0], "true map": photo[0]}), tmp_path / "scatter.png")
    assert all((tmp_path / name).stat().st_size > 5_000 for name in ("side.png", "scatter.png"))

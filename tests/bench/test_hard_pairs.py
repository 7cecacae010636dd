"""`python -m bench hard-pairs`: what is chosen is what it says, and the table has a line for each kind and model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench import hard_pairs
from bench.__main__ import main
from huenet.color import mean_chroma, rgb_to_hsv
from huenet.color_transfer.packaged import PACKAGED
from huenet.data.scenes import scenes


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    monkeypatch.setattr(hard_pairs, "PICTURES", 60)
    monkeypatch.setattr(hard_pairs, "PAIRS", 4)
    monkeypatch.setattr(hard_pairs, "SHOWN", 1)
    return scenes(60, 64, hard_pairs.SEED).images.float() / 255


def test_what_is_chosen(few: torch.Tensor) -> None:
    chroma = mean_chroma(few)
    sources, targets = hard_pairs.little_color(few)
    assert chroma[sources].min() > chroma.median() > chroma[targets].max() > 4 / 255
    _, saturation, _ = rgb_to_hsv(few).unbind(1)
    _, targets = hard_pairs.white_petals(few)
    assert saturation[targets].mean() < saturation.mean()
    sources, targets = hard_pairs.one_hue_to_many(few)
    assert not {*sources.tolist()} & {*targets.tolist()}


def test_a_line_for_each_kind_and_model(few: torch.Tensor, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["hard-pairs", "--before", str(PACKAGED), "--out", str(tmp_path / "pairs.png")]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert [line.split(" | ")[1] for line in lines] == ["before", "after"] * 3
    assert all(line.endswith(" of 4 |") for line in lines)
    assert (tmp_path / "pairs.png").stat().st_size > 10_000

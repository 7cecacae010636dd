"""The model in the package: that it is there, small, and paints what it has never seen, drawn or photographed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

import huenet
from huenet.color_transfer import packaged
from huenet.color_transfer.evaluation import Evaluation, evaluate
from huenet.color_transfer.packaged import LARGEST, MADE_BY, PACKAGED, pack
from huenet.color_transfer.painter import Painter
from huenet.data import load_folder
from huenet.data.scenes import scenes
from huenet.training import checkpoint
from tests.huenet.color_transfer.test_painter import flicker
from tests.paths import photo_folder


def test_what_the_file_says_of_itself() -> None:
    tensors, metadata = checkpoint.read(PACKAGED, "generator")
    assert PACKAGED.stat().st_size <= LARGEST
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert metadata["made_by"] == MADE_BY and len(metadata["commit"]) == 40
    assert metadata["step"] == metadata["config"]["train"]["steps"] and len(metadata["pixels"]) == 64
    assert not {"trained_on", "held_out"} & metadata.keys()  # names of drawn pictures tell nobody anything


def test_the_default_is_this_one() -> None:
    source, target = scenes(2, 64, seed=9).images[:, None].float() / 255
    assert torch.equal(huenet.load()(source, target), Painter.load(PACKAGED)(source, target))


def ratio(result: Evaluation) -> float:
    means = result.means()
    return means["emd_target_output"] / means["emd_target_source"]


def worse(result: Evaluation) -> float:
    """The share of pairs that are farther from the target than before."""
    farther = [row["emd_target_output"] > row["emd_target_source"] for row in result.pairs if not row.get("without_hue")]
    return sum(farther) / len(farther)


def test_it_paints_scenes_it_has_not_seen() -> None:
    """Within what is asked of it on photos of flowers: less is not to be expected where it comes from."""
    result = evaluate(huenet.load().model, scenes(30, 64, seed=12345), pairs=60)
    assert ratio(result) <= 0.33 and result.means()["mi_source_output"] >= 0.52 and worse(result) <= 0.01


@pytest.mark.parametrize(("name", "most", "least"), [("oxford102", 0.33, 0.52), ("flower_color", 0.34, 0.55), ("cars", 0.42, 0.45)])
def test_it_paints_photos(name: str, most: float, least: float) -> None:
    """What docs/model.md says of 200 pairs, on the first 60: at most the distance and at least the information wanted."""
    result = evaluate(huenet.load().model, load_folder(photo_folder(name), 64), pairs=60)
    assert ratio(result) <= most and result.means()["mi_source_output"] >= least and worse(result) <= 0.02  # one of 60


def test_grey_stays_grey() -> None:
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    painted = huenet.load()(ramp, scenes(1, 64, seed=9).images.float() / 255)
    assert torch.equal(painted, ramp)  # no chroma, no hue to turn: not even rounding


def test_a_film_does_not_flicker() -> None:
    """A window that moves from a coffee cup to an astronaut, whose colours come in: less than half a level of eight bits from frame
    to frame, which rounding hides, where all are painted like the first; several times more, each by itself."""
    strip = np.concatenate([data.coffee()[:300, :450], data.astronaut()[100:400]], axis=1)
    sources = [torch.from_numpy(strip[:, left : left + 400].copy()).permute(2, 0, 1).float() / 255 for left in range(100, 228, 16)]
    target = torch.from_numpy(data.rocket()).permute(2, 0, 1).float() / 255
    paint = huenet.load()
    brushes = (paint.brush(target, like=like) for like in ("first", "each"))
    first, each = (flicker([brush(frame) for frame in sources], sources) for brush in brushes)
    assert first < 0.5 and 3 * first < each


def test_packing(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, out = trained / "generator.safetensors", tmp_path / "packed.safetensors"
    pack(run, out, made_by="a test", commit="c")
    whole, halved = Painter.load(run), Painter.load(out)
    assert halved.metadata["made_by"] == "a test" and "trained_on" not in halved.metadata
    picture = Image.effect_noise((40, 40), 80).convert("RGB")
    source, target = (torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    # 11 bits of each weight, in a network of a dozen layers: within a few steps of eight bits
    assert (whole(source, target) - halved(source, target)).abs().mean() < 4 / 255
    assert halved(picture, picture).size == (40, 40)
    monkeypatch.setattr(packaged, "LARGEST", 1000)
    with pytest.raises(ValueError, match="must have at most 1000 bytes"):
        pack(run, out, made_by="a test", commit="c")
    assert not out.exists()

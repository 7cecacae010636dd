"""Painting in Python: paths, PIL images and tensors."""

from __future__ import annotations

import dataclasses
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import huenet
from huenet.color_transfer import painter
from huenet.color_transfer.model import HueNet
from huenet.color_transfer.painter import Painter, paint_files
from huenet.data import bands
from huenet.training.checkpoint import CheckpointError
from tests.huenet.color_transfer.small import SMALL, images
from tests.huenet.data.pictures import save


def test_in_python(trained: Path, folder: Path) -> None:
    paint = huenet.load(trained / "generator.safetensors")
    path, other = sorted(folder.iterdir())[:2]
    from_paths, from_images = paint(path, other), paint(Image.open(path), Image.open(other))
    assert from_paths.size == (40, 40) and np.array_equal(np.asarray(from_paths), np.asarray(from_images))
    tensors = [torch.from_numpy(np.array(Image.open(name))).permute(2, 0, 1) / 255 for name in (path, other)]
    painted = paint(*tensors)
    assert painted.shape == (3, 40, 40)
    assert torch.equal(paint(tensors[0].double(), other), painted.double())
    assert np.array_equal(np.asarray(from_paths), (painted.permute(1, 2, 0) * 255).round().byte().numpy())
    assert paint(torch.stack(tensors), torch.stack(tensors)).shape == (2, 3, 40, 40)
    for wrong, error in (
        (tensors[0].byte(), TypeError),
        (7, TypeError),
        (tensors[0][:2], ValueError),
        (tensors[0][:, :0], ValueError),
        (255 * tensors[0], ValueError),
        (2 * tensors[0] - 1, ValueError),
        (tensors[0].index_fill(1, torch.tensor([3]), torch.nan), ValueError),
    ):
        with pytest.raises(error, match="source"):
            paint(wrong, other)
    with pytest.raises(ValueError, match=r"target must have values in \[0, 1\], got 0 to 255"):
        paint(path, torch.tensor([0.0, 255.0]).expand(3, 40, 2))


def test_a_source_keeps_its_transparency(trained: Path, folder: Path) -> None:
    image = Image.open(next(folder.iterdir())).convert("RGBA")
    image.putalpha(Image.fromarray(np.arange(1600, dtype=np.uint16).astype(np.uint8).reshape(40, 40)))
    painted = huenet.load(trained / "generator.safetensors")(image, next(folder.iterdir()))
    assert painted.mode == "RGBA" and np.array_equal(np.array(painted)[..., 3], np.array(image)[..., 3])


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_photo_in_many_bands_is_a_photo_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """And the bar counts them."""
    counted = []
    monkeypatch.setattr(painter, "tqdm", lambda rows, *_, **__: counted.append(len(rows)) or rows)
    torch.manual_seed(0)
    paint = Painter(HueNet(SMALL).eval())
    noise = (255 * images(90, 70, len(mode))).byte()
    noise[:4, :, 3:] = 0
    source = Image.fromarray(noise.numpy())
    target = Image.fromarray((255 * images(50, 60, len(mode), seed=1)).byte().numpy())
    whole = np.array(paint(source, target)).astype(int)
    monkeypatch.setattr(bands, "PIXELS", 500)
    parts = np.array(paint(source, target)).astype(int)
    assert counted == [1, 13]
    # Rounding to eight bits makes a step of what differs by the roundings of floats.
    assert np.abs(parts - whole).max() <= 1 and np.mean(parts != whole) < 1e-3
    assert np.array_equal(parts[..., 3:], noise[..., 3:]), "transparency"
    assert (parts[:4, :, :3] == 255).all() or mode == "RGB", "nobody sees the colour of what is wholly transparent"
    assert np.array_equal(np.asarray(source), noise), "an image that is given is left as it is"


@pytest.mark.parametrize("of", ["file", "tensor"])
@pytest.mark.parametrize("damaged", range(3))
def test_weights_that_paint_what_is_not_finite_in_any_band_are_named(
    trained: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, damaged: int, of: str
) -> None:
    photo, path = next(folder.iterdir()), trained / "generator.safetensors"
    monkeypatch.setattr(bands, "PIXELS", 40 * 14)  # of 40 rows: 14, 14 and 12
    paint = huenet.load(path)
    usual, painted = paint.model.paint, []

    def damage(*about: Any) -> torch.Tensor:
        painted.append(usual(*about))
        painted[-1][0, 2, -1, -1] = torch.nan if len(painted) == damaged + 1 else 0.5
        return painted[-1]

    monkeypatch.setattr(paint.model, "paint", damage)
    source = photo if of == "file" else torch.rand(3, 40, 40)
    with pytest.raises(CheckpointError, match=f"^{path} paints what is not finite: its weights are damaged$"):
        paint(source, photo)
    assert len(painted) == damaged + 1


def test_one_target_for_many_sources(trained: Path, folder: Path) -> None:
    paint = huenet.load(trained / "generator.safetensors")
    first, second, target = sorted(folder.iterdir())[:3]
    colors = paint.colors(target)
    for source in (first, second):
        assert np.array_equal(np.asarray(paint(source, colors)), np.asarray(paint(source, target)))


@pytest.mark.parametrize("same", [True, False])
def test_outputs_that_are_one_file_are_named_but_not_what_another_process_writes(
    trained: Path, folder: Path, tmp_path: Path, same: bool
) -> None:
    """A file's number goes to another one when it is replaced."""
    sources, out = tmp_path / "sources", tmp_path / "out"
    sources.mkdir()
    for source, name in zip(sorted(folder.iterdir()), ("a.png", "b.png")):
        shutil.copy(source, sources / name)
    painting = paint_files(huenet.load(trained / "generator.safetensors"), sources, next(folder.iterdir()), out)
    assert next(painting) == out / "a.png"
    if same:  # as are a.png and A.png, where case does not count
        (out / "b.png").symlink_to(out / "a.png")
        with pytest.raises(ValueError, match=r"b\.png and .*a\.png would both be written to .*b\.png: rename one of them"):
            next(painting)
    else:
        (out / "a.png").rename(out / "b.png")
        shutil.copy(out / "b.png", out / "a.png")
        assert list(painting) == [out / "b.png"]


def test_a_target_beside_its_source(folder: Path) -> None:
    """A model that looks at both together sees the target in each source's size."""
    torch.manual_seed(0)
    paint = Painter(HueNet(dataclasses.replace(SMALL, head="rotation", conditioning="image")))
    target = images(3, 60, 40)
    colors = paint.colors(target)
    for size in ((50, 50), (70, 35)):
        source = images(3, *size, seed=1)
        assert torch.equal(paint(source, colors), paint.model(source[None], target[None])[0])


def test_batches_of_two_lengths_are_named() -> None:
    with pytest.raises(ValueError, match="source and target must be batches of one length, got 2 and 3"):
        Painter(HueNet(SMALL))(images(2, 3, 32, 32), images(3, 3, 32, 32))


def test_a_photo_may_have_so_many_megapixels(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, photo = trained / "generator.safetensors", save(tmp_path / "photo.png")
    lifts = r"photo\.png: Image size \(1200 pixels\) exceeds limit of 1199 pixels, .*; max_megapixels \(--max-megapixels\) sets the"
    for pair in ((photo, images(3, 9, 9)), (images(3, 9, 9), photo)):
        with pytest.raises(ValueError, match=lifts):
            huenet.load(checkpoint, max_megapixels=0.0011994)(*pair)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow warns of what is above its limit, and refuses what is above twice of it
        for enough in (0.0012, float("inf"), None):
            assert huenet.load(checkpoint, max_megapixels=enough)(photo, photo).size == (40, 30)
    assert Image.MAX_IMAGE_PIXELS == 300
    for wrong in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="max_megapixels must be a number above 0, got"):
            huenet.load(checkpoint, max_megapixels=wrong)

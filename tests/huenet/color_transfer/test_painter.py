"""Painting in Python: paths, PIL images and tensors."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import huenet
from huenet.color import color_weights, rgb_to_hsv, wrap_hue
from huenet.color_transfer import painter
from huenet.color_transfer.model import HueNet
from huenet.color_transfer.painter import Painter, paint_files
from huenet.data import bands
from huenet.data.animation import Animation
from huenet.data.garden import garden
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


def test_no_strength_is_the_source_bit_for_bit(trained: Path, folder: Path) -> None:
    """Also what is transparent, and values outside of the range within what resizing takes."""
    paint, target = huenet.load(trained / "generator.safetensors"), next(folder.iterdir())
    pixels = (255 * images(50, 40, 4)).byte()
    pixels[:10, :, 3] = 0
    source = Image.fromarray(pixels.numpy())
    assert np.array_equal(np.asarray(paint(source, target, strength=0, also=("saturation", "value"))), pixels)
    floats = 1.0005 * images(3, 50, 40).double()
    painted = paint(floats, target, strength=0)
    assert torch.equal(painted, floats) and painted.data_ptr() != floats.data_ptr()
    assert np.array_equal(np.asarray(paint(source, target)), np.asarray(paint(source, target, strength=1)))


def test_what_is_transparent_has_no_vote(trained: Path, folder: Path) -> None:
    """A flower that is cut out is painted as one without anything around it, where only value changes."""
    paint = huenet.load(trained / "generator.safetensors")
    source, target = (Image.open(path).convert("RGB") for path in sorted(folder.iterdir())[:2])
    source = source.crop((0, 0, 40, 20))
    around = Image.new("RGBA", (40, 40))
    around.paste(source, (0, 0))
    apart, within = (np.asarray(paint(image, target, also=("value",)).convert("RGB"))[:20].max(-1) for image in (source, around))
    assert np.array_equal(apart, within)
    assert not np.array_equal(apart, np.asarray(source).max(-1))


def pan(step: int = 16, count: int = 6) -> list[torch.Tensor]:
    """A window of 64 x 64 that moves over a strip of flowers, so that other colours come in."""
    strip = torch.cat(list(garden(4, 64, seed=5).pictures(range(4))), dim=-1)
    return [strip[..., step * number : step * number + 64].contiguous() for number in range(count)]


def flicker(frames: list[torch.Tensor], sources: list[torch.Tensor], step: int = 16) -> float:
    """By how many levels of eight bits the colour of a place changes from a frame to the next, in the mean, by its hue: a channel
    changes by 6 times the chroma times the change in turns."""
    changes = []
    for number in range(len(frames) - 1):
        first, second = (rgb_to_hsv(frame)[0] for frame in frames[number : number + 2])
        way = (wrap_hue(first[:, step:] - second[:, :-step] + 0.5) - 0.5).abs()
        changes.append(6 * 255 * (way * color_weights(rgb_to_hsv(sources[number]))[0, :, step:]).mean().item())
    return max(changes)


def test_frames_like_the_first_do_not_flicker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where masks know nothing of the place, what is left is one curve for all frames; by histograms of their own, colours change
    when others come in."""
    torch.manual_seed(0)
    paint = Painter(HueNet(dataclasses.replace(SMALL, condition_bins=16, knots=8)))
    for network in (paint.model.generator.head.query, paint.model.generator.head.key):
        network[-2].weight.data *= 30  # as of a head that has learnt to choose by histograms
    masks = torch.tensor([1.0, 0.0, -1.0, 0.5]).view(1, 4, 1, 1)
    monkeypatch.setattr(paint.model.generator.unet, "forward", lambda x, _: masks.expand(1, 4, *x.shape[-2:]))
    sources, target = pan(), garden(1, 96, seed=9).pictures([0])[0]
    first, each = ([brush(frame) for frame in sources] for brush in (paint.brush(target, like=like) for like in ("first", "each")))
    assert flicker(each, sources) > 1
    # Hues are rounded to 2**-24, some twenty times, here times 1,530.
    assert flicker(first, sources) < 1530 * 20 * 2**-24
    assert torch.equal(first[0], each[0])


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_frames_of_a_network_flicker_less_than_rounding_shows(strength: float) -> None:
    """Half a level of eight bits, which is rounded away. A U-Net is not quite the same at every place."""
    torch.manual_seed(0)
    paint = Painter(HueNet(dataclasses.replace(SMALL, condition_bins=16, knots=8)))
    for network in (paint.model.generator.head.query, paint.model.generator.head.key):
        network[-2].weight.data *= 10
    sources, target = pan(), garden(1, 96, seed=9).pictures([0])[0]
    first, each = (
        [brush(frame) for frame in sources]
        for brush in (paint.brush(target, like=like, strength=strength) for like in ("first", "each"))
    )
    assert flicker(first, sources) < 0.5
    assert flicker(first, sources) < flicker(each, sources)


def test_frames_share_their_curves_of_saturation_and_value(trained: Path) -> None:
    """A place has one value in all frames, though what comes in would move the curve."""
    paint, target = huenet.load(trained / "generator.safetensors"), garden(1, 96, seed=9).pictures([0])[0] ** 2
    sources = pan()
    for like, same in (("first", True), ("each", False)):
        brush = paint.brush(target, like=like, also=("value",))
        values = [brush(frame).amax(0) for frame in sources]
        assert same == all(torch.equal(first[:, 16:], second[:, :-16]) for first, second in itertools.pairwise(values))


def test_what_is_no_way_to_be_like_is_named(trained: Path, folder: Path) -> None:
    paint, photo = huenet.load(trained / "generator.safetensors"), next(folder.iterdir())
    with pytest.raises(ValueError, match="like must be one of each, first, got 'second'"):
        paint.brush(photo, like="second")
    with pytest.raises(ValueError, match=r"strength must be a number from 0 to 1, got 1\.5"):
        paint(photo, photo, strength=1.5)
    with pytest.raises(ValueError, match="also must be among saturation, value, got 'hue'"):
        paint(photo, photo, also=["hue"])


def test_an_animation_is_painted_frame_by_frame(trained: Path, folder: Path, tmp_path: Path) -> None:
    paint, target = huenet.load(trained / "generator.safetensors"), next(folder.iterdir())
    frames = [Image.fromarray((255 * frame).byte().permute(1, 2, 0).numpy()) for frame in pan(count=3)]
    Animation(frames, [40.0, 50.0, 60.0], 0).save(tmp_path / "in.png")
    painted = paint.brush(target, like="first").animation(tmp_path / "in.png")
    brush = paint.brush(target, like="first")
    assert painted.durations == [40.0, 50.0, 60.0] and painted.plays == 0
    for frame, one in zip(frames, painted.frames):
        assert np.array_equal(np.asarray(brush(frame)), np.asarray(one))

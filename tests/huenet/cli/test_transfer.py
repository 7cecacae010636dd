"""`huenet transfer`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from PIL.ExifTags import Base

from huenet.cli import main
from huenet.data.animation import Animation


@pytest.fixture
def transfer(trained: Path):
    """`huenet transfer` on the CPU with the trained model; returns the exit code."""

    def run(*arguments: object) -> int:
        rest = ["--checkpoint", str(trained / "generator.safetensors"), "--device", "cpu"]
        return main(["transfer", *map(str, arguments), *rest])

    return run


@pytest.mark.parametrize("size", [(64, 48), (33, 100)])
def test_transfer_of_one_photo_keeps_its_size(transfer, folder: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    source, out = tmp_path / "source.png", tmp_path / "new" / "painted.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)).save(source)
    assert transfer(source, next(folder.iterdir()), "--out", out) == 0
    assert Image.open(out).size == size and Image.open(out).format == "JPEG"


def test_transfer_of_a_folder(transfer, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    flower = Image.open(next(folder.iterdir()))
    flower.save(sources / "a.png")
    flower.convert("P").save(sources / "b.gif")
    (sources / "broken.jpg").write_text("no")
    assert transfer(sources, next(folder.iterdir()), "--out", tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.gif.png"]
    assert "huenet: warning: skipped" in (errors := capsys.readouterr().err) and "broken.jpg" in errors


def test_subfolders(transfer, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    sources = tmp_path / "sources"
    for place in ("", "b", "b/c"):
        (sources / place).mkdir(exist_ok=True)
        shutil.copy(next(folder.iterdir()), sources / place / "a.png")
    assert transfer(sources, next(folder.iterdir()), "--out", tmp_path / "flat") == 0
    assert "1 folder (b; --recursive, or recursive=True in Python, searches them)" in capsys.readouterr().err
    assert transfer(sources, next(folder.iterdir()), "--out", tmp_path / "deep", "--recursive") == 0
    assert sorted(path.relative_to(tmp_path / "deep").as_posix() for path in (tmp_path / "deep").rglob("*.png")) == [
        "a.png", "b/a.png", "b/c/a.png",
    ]  # fmt: skip
    assert transfer(sources, next(folder.iterdir()), "--out", sources / "b", "--recursive") == 2
    assert "is among the photos" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["named", "linked", "linked hard", "through a linked folder"])
@pytest.mark.parametrize("role", ["target", "source"])
def test_no_photo_is_overwritten(
    transfer, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture, role: str, how: str
) -> None:
    """However it is named; the outputs before it are not written either."""
    sources, out = tmp_path / "photos", tmp_path / "painted"
    photos = sorted(folder.iterdir())
    for place in (sources, out, tmp_path / "kept"):
        place.mkdir()
    shutil.copy(photos[0], sources / "a.png")
    shutil.copy(photos[0], sources / "b.png")
    victim = tmp_path / "kept" / "b.png"
    if how == "named":
        victim = out / "b.png"
    shutil.copy(photos[1], victim)
    if how == "linked":
        (out / "b.png").symlink_to(victim)
    elif how == "linked hard":
        os.link(victim, out / "b.png")
    elif how == "through a linked folder":
        out.rmdir()
        out.symlink_to(victim.parent)
    if role == "source":
        (sources / "b.png").unlink()
        (sources / "b.png").symlink_to(victim)
    before = victim.read_bytes()
    assert transfer(sources, victim if role == "target" else photos[2], "--out", out) == 2
    errors = capsys.readouterr().err
    assert f"would overwrite the {role}" in errors and len(errors.splitlines()) == 1
    assert victim.read_bytes() == before and not (out / "a.png").exists()


def test_sources_with_one_output_are_named(transfer, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    sources = tmp_path / "photos"
    sources.mkdir()
    flower = Image.open(next(folder.iterdir()))
    flower.convert("P").save(sources / "x.gif")
    flower.save(sources / "x.gif.png")
    assert transfer(sources, next(folder.iterdir()), "--out", tmp_path / "out") == 2
    assert "x.gif and x.gif.png would both be written to" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_transparency_and_camera_data_are_kept(transfer, folder: Path, tmp_path: Path) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (48, 40, 4), dtype=np.uint8)
    exif = Image.Exif()
    exif[Base.Copyright] = "somebody"
    Image.fromarray(rgba).save(tmp_path / "in.png", exif=exif)
    assert transfer(tmp_path / "in.png", next(folder.iterdir()), "--out", tmp_path / "out.png") == 0
    with Image.open(tmp_path / "out.png") as out:
        assert np.array_equal(np.array(out)[..., 3], rgba[..., 3]) and out.getexif()[Base.Copyright] == "somebody"


def test_the_size_of_photos_is_limited(
    transfer, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = sorted(folder.iterdir())[:2]  # of 1,600 pixels
    run = lambda *more: transfer(source, target, "--out", tmp_path / "out.png", *more)  # noqa: E731
    assert run("--max-megapixels", 0.001) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and str(target) in error and "--max-megapixels" in error
    assert "(1600 pixels) exceeds limit of 1000 pixels" in error and not (tmp_path / "out.png").exists()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # which Pillow would refuse
    assert run("--max-megapixels", 0.0016) == 0 and run() == 0
    assert capsys.readouterr().err == ""
    assert run("--max-megapixels", 0) == 2
    assert capsys.readouterr().err == "huenet: error: max_megapixels must be a number above 0, got 0.0\n"


def test_a_folder_goes_on_without_what_is_too_large(transfer, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Which is told, also of one that shows only by its first bytes that it is an image."""
    (tmp_path / "photos").mkdir()
    flower = Image.open(next(folder.iterdir()))
    flower.save(tmp_path / "photos" / "a.png")
    for name in ("b.png", "c"):
        flower.resize((50, 50)).save(tmp_path / "photos" / name, format="PNG")
    out = tmp_path / "out"
    assert transfer(tmp_path / "photos", next(folder.iterdir()), "--out", out, "--max-megapixels", 0.002) == 0
    skipped = capsys.readouterr().err.splitlines()
    assert [path.name for path in out.iterdir()] == ["a.png"]
    assert len(skipped) == 2 and all("skipped" in line and "sets the limit" in line for line in skipped)


def test_a_target_without_hue_is_told_in_one_line(transfer, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    Image.new("RGB", (30, 20), "grey").save(tmp_path / "grey.png")
    source = next(folder.iterdir())
    assert transfer(source, tmp_path / "grey.png", "--out", tmp_path / "out.png") == 0
    assert capsys.readouterr().err == "huenet: warning: a target has no hue to paint with: its source keeps its own\n"
    before, after = (np.asarray(Image.open(path).convert("RGB")).astype(int) for path in (source, tmp_path / "out.png"))
    assert np.abs(after - before).max() <= 1  # a hue in float32, and back to eight bits


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_strength_and_what_else_is_painted(transfer, folder: Path, tmp_path: Path) -> None:
    source, target = sorted(folder.iterdir())[:2]
    made = {}
    for name, options in {
        "whole": [], "one": ["--strength", 1], "half": ["--strength", 0.5], "none": ["--strength", 0, "--also", "saturation"],
        "value": ["--also", "value"], "both": ["--also", "saturation", "value"],
    }.items():  # fmt: skip
        assert transfer(source, target, "--out", tmp_path / f"{name}.png", *options) == 0
        made[name] = pixels(tmp_path / f"{name}.png")
    assert np.array_equal(made["none"], pixels(source)) and np.array_equal(made["one"], made["whole"])
    assert not np.array_equal(made["half"], made["whole"]) and not np.array_equal(made["half"], made["none"])
    assert np.abs(made["half"].max(-1) - made["whole"].max(-1)).max() <= 1, "value is rounded once"
    assert not np.array_equal(made["value"].max(-1), made["whole"].max(-1))
    assert not np.array_equal(made["both"], made["value"])


@pytest.fixture
def animation(folder: Path) -> Animation:
    """Four flowers with a window around them that grows."""
    frames = []
    for number, path in enumerate(sorted(folder.iterdir())[:4]):
        frames.append(Image.open(path).convert("RGB"))
        window = Image.new("L", frames[-1].size)
        ImageDraw.Draw(window).ellipse((0, 0, 20 + 5 * number, 35), fill=255)
        frames[-1].putalpha(window)
    return Animation(frames, [40.0, 100.0, 250.0, 30.0], 2)


@pytest.mark.parametrize("to", ["gif", "png", "webp"])
@pytest.mark.parametrize("source", ["gif", "png", "webp"])
def test_animations_stay_animated(transfer, animation: Animation, folder: Path, tmp_path: Path, source: str, to: str) -> None:
    animation.save(tmp_path / f"in.{source}")
    assert transfer(tmp_path / f"in.{source}", next(folder.iterdir()), "--out", tmp_path / f"out.{to}") == 0
    out = Animation.read(tmp_path / f"out.{to}")
    assert (len(out.frames), out.durations, out.plays) == (4, animation.durations, 2)
    for before, after in zip(animation.frames, out.frames):
        assert after.mode == "RGBA" and np.array_equal(np.asarray(before)[..., 3], np.asarray(after)[..., 3])


def test_an_animation_does_not_become_a_still(
    transfer, animation: Animation, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    animation.save(tmp_path / "in.gif")
    assert transfer(tmp_path / "in.gif", next(folder.iterdir()), "--out", tmp_path / "out.jpg") == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and not (tmp_path / "out.jpg").exists()
    assert "in.gif is an animation, of which" in error and "first frame only: use one of .gif, .png, .webp" in error
    assert transfer(tmp_path / "in.gif", next(folder.iterdir()), "--out", tmp_path / "in.gif") == 2
    assert "would overwrite the source" in capsys.readouterr().err
    assert transfer(tmp_path / "in.gif", next(folder.iterdir()), "--out", tmp_path / "o.gif", "--max-megapixels", 0.0063) == 2
    assert "4 frames of 40 x 40 pixels are more than 0.0063 megapixels" in capsys.readouterr().err


def test_animations_in_a_folder(transfer, animation: Animation, folder: Path, tmp_path: Path) -> None:
    """Keep their names where these can hold them."""
    sources = tmp_path / "sources"
    sources.mkdir()
    animation.save(sources / "a.gif")
    animation.save(sources / "b.webp")
    (sources / "a.gif").rename(sources / "c.jpg")
    animation.save(sources / "a.gif")
    animation.frames[0].convert("RGB").save(sources / "d.png")
    animation.frames[0].convert("P").save(sources / "e.gif")
    assert transfer(sources, next(folder.iterdir()), "--out", tmp_path / "out") == 0
    made = {path.name: len(Animation.read(path).frames) for path in (tmp_path / "out").iterdir()}
    assert made == {"a.gif": 4, "b.webp": 4, "c.jpg.png": 4, "d.png": 1, "e.gif.png": 1}


def test_frames_in_a_folder_are_painted_like_the_first(transfer, folder: Path, tmp_path: Path) -> None:
    """And so are an animation's; by themselves, pictures are painted apart."""
    target, *photos = sorted(folder.iterdir())
    frames = tmp_path / "frames"
    frames.mkdir()
    for number, photo in enumerate(photos[:3]):
        shutil.copy(photo, frames / f"{number}.png")
    Animation([Image.open(photo).convert("RGB") for photo in photos[:3]], [50.0] * 3, 0).save(tmp_path / "film.png")
    made = {}
    for like in ("first", "each", None):
        option = ["--also", "value"] + (["--like", like] if like else [])
        assert transfer(frames, target, "--out", tmp_path / f"{like}", *option) == 0
        assert transfer(tmp_path / "film.png", target, "--out", tmp_path / f"{like}.png", *option) == 0
        made[like, "folder"] = [pixels(tmp_path / f"{like}" / f"{number}.png") for number in range(3)]
        made[like, "film"] = [np.asarray(frame) for frame in Animation.read(tmp_path / f"{like}.png").frames]
    equal = lambda *names: all(np.array_equal(*pair) for pair in zip(*(made[name] for name in names)))  # noqa: E731
    assert equal((None, "folder"), ("each", "folder")) and equal((None, "film"), ("first", "film"))
    assert equal(("first", "folder"), ("first", "film")) and equal(("each", "folder"), ("each", "film"))
    assert np.array_equal(made["first", "film"][0], made["each", "film"][0]) and not equal(("first", "film"), ("each", "film"))

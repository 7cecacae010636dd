"""Animated files: what one sees, how long, and how many times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import Base

from huenet.data.animation import Animation, is_animation
from huenet.data.garden import garden

SUFFIXES = ["gif", "png", "webp"]
DURATIONS = [40.0, 100.0, 250.0, 30.0]


def flowers(transparent: bool) -> list[Image.Image]:
    """Four pictures; where transparent, a window that moves."""
    made = []
    for number, picture in enumerate(garden(4, 60, seed=3).images):
        image = Image.fromarray(picture.permute(1, 2, 0).numpy())
        if transparent:
            window = Image.new("L", image.size)
            window.paste(255, (5 * number, 5 * number, 5 * number + 30, 5 * number + 30))
            image.putalpha(window)
        made.append(image)
    return made


def seen(image: Image.Image) -> np.ndarray:
    """With what lies behind: what is transparent is black."""
    behind = Image.new("RGBA", image.size, "black")
    return np.asarray(Image.alpha_composite(behind, image.convert("RGBA"))).astype(int)


@pytest.mark.parametrize("plays", [0, 1, 3])
@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_written_is_read(tmp_path: Path, suffix: str, transparent: bool, plays: int) -> None:
    frames = flowers(transparent)
    Animation(frames, DURATIONS, plays).save(tmp_path / f"a.{suffix}")
    found = Animation.read(tmp_path / f"a.{suffix}")
    assert (len(found.frames), found.durations, found.plays) == (4, DURATIONS, plays)
    assert is_animation(tmp_path / f"a.{suffix}") and Image.open(tmp_path / f"a.{suffix}").format == suffix.upper()
    assert {frame.mode for frame in found.frames} == {"RGBA" if transparent else "RGB"}
    for before, after in zip(frames, found.frames):
        if transparent:
            assert np.array_equal(np.asarray(before)[..., 3], np.asarray(after)[..., 3])
        error = np.abs(seen(before) - seen(after))
        # GIF: 255 colours are a cube of 6.3 a side, whose cells of 40 levels have a mean error of 10 a channel if all are used
        # alike. WebP has half the resolution in colour; these flowers have edges all over.
        assert error.mean() <= {"gif": 10, "webp": 10, "png": 0}[suffix]


@pytest.mark.parametrize("disposal", [0, 1, 2])
@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_frames_that_leave_the_last_or_do_away_with_it(tmp_path: Path, suffix: str, disposal: int) -> None:
    """Read as they are seen, and written so that they are seen the same, whatever the file said."""
    frames = flowers(transparent=True)
    options = {"save_all": True, "append_images": frames[1:], "duration": 50, "disposal": disposal}
    frames[0].save(tmp_path / f"in.{suffix}", **options)
    with Image.open(tmp_path / f"in.{suffix}") as image:
        expected = []
        for number in range(image.n_frames):
            image.seek(number)
            expected.append(image.convert("RGBA"))
    Animation.read(tmp_path / f"in.{suffix}").save(tmp_path / "out.png")
    found = Animation.read(tmp_path / "out.png").frames
    assert len(found) == len(expected)
    for before, after in zip(expected, found):
        assert np.array_equal(seen(before), seen(after))


def test_a_gif_has_one_palette_for_all_frames(tmp_path: Path) -> None:
    """What stays the same in a scene has the same colour in every frame, whatever comes in beside it."""
    still, *others = flowers(transparent=False)
    frames = []
    for other in others:
        frames.append(still.copy())
        frames[-1].paste(other.crop((30, 0, 60, 60)), (30, 0))
    Animation(frames, [50.0] * 3, 0).save(tmp_path / "a.gif")
    first, *rest = (np.asarray(frame)[:, :30] for frame in Animation.read(tmp_path / "a.gif").frames)
    assert all(np.array_equal(first, other) for other in rest)


def test_durations_of_a_gif_are_hundredths_and_none_is_lost(tmp_path: Path) -> None:
    Animation(flowers(transparent=False), [33.0, 33.0, 33.0, 33.0], 0).save(tmp_path / "a.gif")
    assert Animation.read(tmp_path / "a.gif").durations == [30.0, 40.0, 30.0, 30.0]  # ends at 30, 70, 100 and 130


def test_a_frame_that_looks_as_the_one_before_stays_longer(tmp_path: Path) -> None:
    first, second, *_ = flowers(transparent=False)
    for suffix in ("gif", "png"):
        Animation([first, first, second], [50.0, 60.0, 70.0], 0).save(tmp_path / f"a.{suffix}")
        assert Animation.read(tmp_path / f"a.{suffix}").durations == [110.0, 70.0]


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_what_the_file_says_is_kept(tmp_path: Path, suffix: str) -> None:
    frames, exif = flowers(transparent=False), Image.Exif()
    exif[Base.Copyright], exif[Base.Orientation] = "somebody", 6
    options = {"save_all": True, "append_images": frames[1:], "duration": 50, "exif": exif, "lossless": True}
    frames[0].crop((0, 0, 60, 40)).save(
        tmp_path / f"in.{suffix}", **options | {"append_images": [frame.crop((0, 0, 60, 40)) for frame in frames[1:]]}
    )
    Animation.read(tmp_path / f"in.{suffix}").save(tmp_path / f"out.{suffix}")
    with Image.open(tmp_path / f"out.{suffix}") as out:
        assert out.size == (40, 60) and out.getexif() == {Base.Copyright: "somebody"} and out.n_frames == 4


def test_the_picture_for_who_cannot_play_is_no_frame(tmp_path: Path) -> None:
    title, *frames = flowers(transparent=False)
    title.save(tmp_path / "a.png", save_all=True, append_images=frames, default_image=True, duration=50)
    found = Animation.read(tmp_path / "a.png")
    assert len(found.frames) == 3 and np.array_equal(seen(found.frames[0]), seen(frames[0]))


def test_what_is_none(tmp_path: Path) -> None:
    """Pages of a document; a still picture; one whose second frame is missing."""
    frames = flowers(transparent=False)
    frames[0].save(tmp_path / "pages.tif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "one.gif")
    (tmp_path / "text.gif").write_text("no")
    assert not any(is_animation(tmp_path / name) for name in ("pages.tif", "one.gif", "text.gif", "nowhere.gif"))
    assert len(Animation.read(tmp_path / "one.gif").frames) == 1
    with pytest.raises(ValueError, match=r"cannot read the image .*text.gif"):
        Animation.read(tmp_path / "text.gif")
    with pytest.raises(ValueError, match=r"a.jpg must be one of .gif, .png, .webp to hold an animation, got '.jpg'"):
        Animation(frames, DURATIONS, 0).save(tmp_path / "a.jpg")
    assert not (tmp_path / "a.jpg").exists()


def test_all_frames_count_for_the_limit(tmp_path: Path) -> None:
    Animation(flowers(transparent=False), DURATIONS, 0).save(tmp_path / "a.gif")
    assert len(Animation.read(tmp_path / "a.gif", 0.0144).frames) == 4
    with pytest.raises(ValueError, match=r"a.gif: 4 frames of 60 x 60 pixels are more than 0.0143 megapixels; max_megapixels \("):
        Animation.read(tmp_path / "a.gif", 0.0143)

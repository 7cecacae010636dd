"""Photos in a mapped file: the same as in memory, resumed where a kill left it, new where a photo is."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

import pytest
import torch
from PIL import Image

from huenet.cli import main
from huenet.data import PairStream, cached_folder, hold_out, load_folder, photo_cache
from huenet.data.garden import garden
from tests.huenet.cli.options import OPTIONS
from tests.huenet.training.runs import assert_equal, timeless, weights


def save(folder: Path, count: int, seed: int = 1) -> None:
    """Flowers, every other one in a subfolder."""
    (folder / "below").mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(garden(count, 40, seed).images):
        place = folder / "below" if number % 2 else folder
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(place / f"{number:03d}.png")


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what is decoded from here on."""
    names: list[str] = []
    load = photo_cache.load_square
    monkeypatch.setattr(photo_cache, "load_square", lambda path, side: names.append(path.name) or load(path, side))
    return names


def test_it_is_the_folder_in_memory(tmp_path: Path) -> None:
    save(tmp_path / "photos", 9)
    cached = cached_folder(tmp_path / "photos", 32, tmp_path / "cache", recursive=True)
    loaded = load_folder(tmp_path / "photos", 32, recursive=True)
    assert cached.names == loaded.names and cached.size == loaded.size and cached.digest() == loaded.digest()
    for one, other in zip(hold_out(cached, 3, 5), hold_out(loaded, 3, 5)):
        assert one.names == other.names and one.digest() == other.digest() and len(one) == len(other)
        assert torch.equal(one.pictures([2, 0]), other.pictures([2, 0]))
        for step in range(7):
            ours, theirs = (PairStream(photos, 4, 3).batch(step) for photos in (one, other))
            assert torch.equal(ours[0], theirs[0]) and torch.equal(ours[1], theirs[1])


def test_a_file_that_was_cut_short_is_told_of(tmp_path: Path) -> None:
    """By another hand, while it is in use: mapped memory would end the process."""
    save(tmp_path / "photos", 4)
    cached = cached_folder(tmp_path / "photos", 32, tmp_path / "cache", recursive=True)
    (pixels,) = (tmp_path / "cache").glob("*.uint8")
    os.truncate(pixels, pixels.stat().st_size - 1)
    for read in (cached.digest, lambda: cached.pictures([3])):
        with pytest.raises(ValueError, match=r"must hold .* bytes of photo 3, got .*: was it cut short"):
            read()


def test_only_what_has_changed_is_decoded_again(tmp_path: Path, decoded: list[str]) -> None:
    folder, cache = tmp_path / "photos", tmp_path / "cache"
    save(folder, 6)
    before = cached_folder(folder, 32, cache, recursive=True)
    assert sorted(decoded) == [f"{number:03d}.png" for number in range(6)]
    first = before.digest()
    decoded.clear()
    assert cached_folder(folder, 32, cache, recursive=True).digest() == first and not decoded
    os.utime(folder / "000.png", (1, 1))  # another time, the same photo
    assert cached_folder(folder, 32, cache, recursive=True).digest() == first and not decoded
    Image.new("RGB", (50, 40), "red").save(folder / "002.png")
    Image.new("RGB", (50, 40), "blue").save(folder / "006.png")
    (folder / "004.png").unlink()
    after = cached_folder(folder, 32, cache, recursive=True)
    assert sorted(decoded) == ["002.png", "006.png"] and after.digest() == load_folder(folder, 32, recursive=True).digest()
    assert before.digest() == first  # what others have mapped stays


def test_what_others_have_mapped_stays_also_of_photos_that_broke(tmp_path: Path) -> None:
    """The last square's photo breaks, the cache is opened again, and a new photo needs a square."""
    folder, cache = tmp_path / "photos", tmp_path / "cache"
    save(folder, 6)
    before = cached_folder(folder, 32, cache, recursive=True)
    first, size = before.digest(), (cache / "squares-36.uint8").stat().st_size
    last = json.loads((cache / "squares-36.jsonl").read_text().splitlines()[-1])["name"]
    Path(last).write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    for _ in range(2):
        with pytest.warns(UserWarning, match="skipped"):
            cached_folder(folder, 32, cache, recursive=True)
        assert (cache / "squares-36.uint8").stat().st_size == size  # a page of a file that shrinks ends who reads it
    Image.new("RGB", (50, 40), "blue").save(folder / "006.png")
    with pytest.warns(UserWarning, match="skipped"):
        after = cached_folder(folder, 32, cache, recursive=True)
    assert before.digest() == first and len(after) == 6


def test_a_build_that_was_killed_goes_on(tmp_path: Path, decoded: list[str]) -> None:
    folder, cache = tmp_path / "photos", tmp_path / "cache"
    save(folder, 6)
    expected = cached_folder(folder, 32, cache, recursive=True).digest()
    index, pixels = cache / "squares-36.jsonl", cache / "squares-36.uint8"
    lines = index.read_bytes().splitlines(keepends=True)
    whole = pixels.read_bytes()
    for kept, of_line, squares in ((3, 10, 4.5), (3, 0, 3), (4, 0, 2.5), (0, 5, 0), (6, 0, 6)):
        index.write_bytes(b"".join(lines[:kept]) + (lines[kept][:of_line] if kept < 6 else b""))
        pixels.write_bytes(whole[: int(squares * 3 * 36 * 36)])
        decoded.clear()
        assert cached_folder(folder, 32, cache, recursive=True).digest() == expected
        assert len(decoded) == 6 - min(kept, int(squares))
    index.write_bytes(lines[0] + b'{"name": 3}\n' + b"".join(lines[2:]))  # damaged by whatever
    assert cached_folder(folder, 32, cache, recursive=True).digest() == expected
    assert all(json.loads(line)["digest"] for line in index.read_text().splitlines())


def test_what_cannot_be_read_is_told_each_time_and_decoded_once(tmp_path: Path, decoded: list[str]) -> None:
    save(tmp_path / "photos", 4)
    (tmp_path / "photos" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"skipped: .*bad\.png"):
            assert len(cached_folder(tmp_path / "photos", 32, tmp_path / "cache", recursive=True)) == 4
    assert decoded.count("bad.png") == 1
    with warnings.catch_warnings(), pytest.raises(ValueError, match="has 4 usable images, at least 5 are needed"):
        warnings.simplefilter("ignore")
        cached_folder(tmp_path / "photos", 32, tmp_path / "cache", minimum=5, recursive=True)


def test_a_run_from_the_cache_is_the_run_from_memory_resumed_either_way(tmp_path: Path) -> None:
    save(tmp_path / "photos", 8)
    command = ["train", "--data", str(tmp_path / "photos"), "--recursive", "--log-every", "1", *OPTIONS]
    from_cache = ["--cache", str(tmp_path / "cache")]
    assert main([*command, "--out", str(tmp_path / "whole"), "--steps", "4"]) == 0
    for steps, options in (("2", from_cache), ("3", []), ("4", from_cache)):
        assert main([*command, "--out", str(tmp_path / "parts"), "--steps", steps, *options]) == 0
    assert_equal(weights(tmp_path / "parts"), weights(tmp_path / "whole"))
    assert timeless(tmp_path / "parts") == timeless(tmp_path / "whole")


def test_bad_places_for_a_cache_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "photos", 4)
    (tmp_path / "file").write_text("")
    for options, named in (
        (["--data", str(tmp_path / "photos"), "--cache", str(tmp_path / "file")], "file"),
        (["--data", str(tmp_path / "photos"), "--cache", str(tmp_path / "photos")], "among the photos"),
        (["--drawn", "8", "--cache", str(tmp_path / "cache")], "--cache is for the photos of --data"),
    ):
        assert main(["train", "--out", str(tmp_path / "out"), "--steps", "1", "--recursive", *options, *OPTIONS]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert named in line

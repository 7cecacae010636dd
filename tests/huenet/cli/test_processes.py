"""Commands in a process of their own."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from huenet.data.garden import garden
from tests.paths import REPOSITORY

MEGAPIXELS = float(os.environ.get("MEGAPIXELS", "24"))


def test_names_in_another_encoding_and_figures_without_pyplot(trained: Path, folder: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    first, second = sorted(folder.iterdir())[:2]
    shutil.copy(first, photos / "ä.png")
    try:
        shutil.copy(second, os.fsencode(photos) + b"/caf\xe9.png")
    except OSError:
        pytest.skip("this file system takes no such names")
    checkpoint = ["--checkpoint", str(trained / "generator.safetensors"), "--device", "cpu"]
    lines = [
        ["evaluate", *checkpoint, "--data", str(photos), "--out", str(tmp_path / "e")],
        ["transfer", *checkpoint, str(photos), str(first), "--out", str(tmp_path / "o")],
    ]
    run = f"import sys; from huenet.cli import main; failed = any(main(line) for line in {lines!a})"
    code = f"{run}; sys.exit(failed or 'matplotlib.pyplot' in sys.modules)"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, timeout=120, env=environment)
    assert len(list((tmp_path / "o").iterdir())) == 2
    assert "caf\\udce9.png" in (tmp_path / "e" / "table1.md").read_text(encoding="utf-8")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output_is_named() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "huenet", "--help"], cwd=REPOSITORY, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (2, "huenet: error: standard output: No space left on device\n")


def peak(*arguments: object) -> int:
    """Bytes of memory that the command line in a process of its own holds at most."""
    line = [str(argument) for argument in arguments]
    code = f"from huenet.cli import main; assert main({line!a}) == 0; print(open('/proc/self/status').read())"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        timeout=120 if MEGAPIXELS <= 24 else 600,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return 1024 * int(re.search(r"VmHWM:\s*(\d+) kB", ran.stdout).group(1))


@pytest.fixture(scope="module")
def flower() -> Image.Image:
    return Image.fromarray(garden(1, 200, seed=1).images[0].permute(1, 2, 0).numpy())


@pytest.fixture(scope="module")
def transfer_peak(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., int]:
    """Of painting a photo with itself, with more options."""
    options = "--checkpoint", trained / "generator.safetensors", "--device", "cpu", "--out"
    return lambda photo, *more: peak("transfer", photo, photo, *options, tmp_path_factory.mktemp("painted") / photo.name, *more)


@pytest.fixture(scope="module")
def small_peak(transfer_peak: Callable[..., int], flower: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> int:
    """Of a small photo, which is that of the program."""
    photo = tmp_path_factory.mktemp("small") / "photo.png"
    flower.save(photo)
    return transfer_peak(photo)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is Linux's")
@pytest.mark.parametrize("how", ["", "--strength 0.5 --also saturation value"])
@pytest.mark.parametrize("kind", ["turned.jpg", "transparent.tif"])
def test_memory_for_a_large_photo(
    transfer_peak: Callable[..., int], small_peak: int, flower: Image.Image, tmp_path: Path, kind: str, how: str
) -> None:
    """Of 24 megapixels, or MEGAPIXELS=95, which are promised to take a gigabyte at most beside the decoded photo."""
    side = round(math.sqrt(MEGAPIXELS * 1e6 / 6))
    large, exif = flower.resize((3 * side, 2 * side), Image.Resampling.BICUBIC), Image.Exif()
    if kind == "turned.jpg":
        exif[0x0112] = 6
    else:
        large.putalpha(Image.linear_gradient("L").resize(large.size))
    large.save(tmp_path / kind, exif=exif)
    taken, pixels = transfer_peak(tmp_path / kind, *how.split()), large.width * large.height
    grown = taken - small_peak
    # Two copies as Pillow keeps them, 4 bytes a pixel; one in floats would be 288 MB by itself. Bands, half a megabyte of bytes,
    # and a few dozen times that of floats, are in the small photo's peak already.
    assert grown <= 2 * 4 * pixels, f"{grown / 1e6:.0f} MB"
    assert taken - 3 * pixels <= 1e9, f"{(taken - 3 * pixels) / 1e6:.0f} MB"

"""`huenet transfer`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from huenet.cli import main


@pytest.mark.parametrize("size", [(64, 48), (33, 100)])
def test_transfer_of_one_photo_keeps_its_size(trained: Path, folder: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    source, out = tmp_path / "source.png", tmp_path / "new" / "painted.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)).save(source)
    assert (
        main(
            [
                "transfer",
                str(source),
                str(next(folder.iterdir())),
                "--checkpoint",
                str(trained / "generator.safetensors"),
                "--out",
                str(out),
                "--device",
                "cpu",
            ]
        )
        == 0
    )
    assert Image.open(out).size == size and Image.open(out).format == "JPEG"


def test_transfer_of_a_folder(trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    flower = Image.open(next(folder.iterdir()))
    flower.save(sources / "a.png")
    flower.convert("P").save(sources / "b.gif")
    (sources / "broken.jpg").write_text("no")
    assert (
        main(
            [
                "transfer",
                str(sources),
                str(next(folder.iterdir())),
                "--checkpoint",
                str(trained / "generator.safetensors"),
                "--out",
                str(tmp_path / "out"),
                "--device",
                "cpu",
            ]
        )
        == 0
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.gif.png"]
    assert "huenet: warning: skipped" in (errors := capsys.readouterr().err) and "broken.jpg" in errors

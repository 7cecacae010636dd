"""`huenet transfer`, and the same in Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import huenet
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
    ):
        with pytest.raises(error, match="source"):
            paint(wrong, other)

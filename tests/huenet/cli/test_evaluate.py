"""`huenet evaluate`: which photos it uses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from huenet.cli import main
from huenet.color_transfer.painter import Painter


def test_evaluation_of_the_training_folder_uses_what_was_held_out(trained: Path, folder: Path, tmp_path: Path) -> None:
    generator = str(trained / "generator.safetensors")
    held_out = set(Painter.load(generator).metadata["held_out"])
    assert len(held_out) == 3
    assert (
        main(
            [
                "evaluate",
                "--checkpoint",
                generator,
                "--data",
                str(folder),
                "--out",
                str(tmp_path),
                "--device",
                "cpu",
                "--without-mi",
                generator,
            ]
        )
        == 0
    )
    table = json.loads((tmp_path / "table1.json").read_text())
    assert {pair[role] for pair in table["pairs"] for role in ("source", "target")} == held_out
    assert table["mean"].keys() == {"emd_target_source", "emd_target_output", "mi_source_target", "mi_source_output"}
    assert table["without_mi"]["mi_source_output"] == table["mean"]["mi_source_output"]
    assert (tmp_path / "table1.md").exists() and len(list(tmp_path.glob("*.png"))) == 3
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "Hue-Net without L_MI" in page and all(name in page for name in held_out)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made, but not written, which takes most of the time."""
    monkeypatch.setattr("huenet.plotting.save", lambda *_: None)


def test_evaluation_of_another_folder_uses_all_of_it(
    trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture, undrawn: None
) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    sorted(other.iterdir())[0].rename(other / "renamed.png")
    assert (
        main(
            [
                "evaluate",
                "--checkpoint",
                str(trained / "generator.safetensors"),
                "--data",
                str(other),
                "--out",
                str(tmp_path / "e"),
                "--pairs",
                "60",
                "--device",
                "cpu",
            ]
        )
        == 0
    )
    assert "all 8 photos" in capsys.readouterr().out
    pairs = json.loads((tmp_path / "e" / "table1.json").read_text())["pairs"]
    assert len({pair["source"] for pair in pairs}) == 8


def test_evaluation_of_a_part_of_the_training_folder_says_so(
    trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture, undrawn: None
) -> None:
    part, names = tmp_path / "part", Painter.load(trained / "generator.safetensors").metadata["trained_on"]
    part.mkdir()
    for name in names[:3]:
        shutil.copy(folder / name, part)
    options = ["--checkpoint", str(trained / "generator.safetensors"), "--device", "cpu", "--out", str(tmp_path / "e")]
    assert main(["evaluate", "--data", str(part), *options]) == 0
    printed = capsys.readouterr()
    assert "3 of these photos have names of photos the model was trained on" in printed.err
    assert "all 3 photos" in printed.out and "not trained on" not in printed.out

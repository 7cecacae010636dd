"""`huenet experiment`."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from huenet.cli import main
from huenet.experiments import contextual, domain, histogan, registration, style
from huenet.files import claimed


def test_experiment_writes_its_figure_and_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(contextual, "run", functools.partial(contextual.run, photos=4, side=14, shifts=[0, 1, 3, 4.5, 5, 6.5]))
    rng, out = np.random.default_rng(0), tmp_path / "out"
    for number in range(5):
        field = rng.integers(0, 255, (12, 12, 3)).astype(np.uint8).repeat(10, 0).repeat(10, 1)
        Image.fromarray(field).save(tmp_path / f"{number}.png")
    (tmp_path / "below").mkdir()
    assert main(["experiment", "contextual", "--data", str(tmp_path), "--out", str(out)]) == 0
    assert json.loads((out / "contextual.json").read_text())["quoted"]["contextual"] < 1
    assert (out / "contextual.png").is_file()
    said = capsys.readouterr()
    assert "written to" in said.out and said.err.splitlines() == [
        f"huenet: warning: left out of {tmp_path}: 2 folders (below, out)"
    ]


def test_experiment_names_what_its_data_lacks(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiment", "structure", "--data", str(folder), "--out", str(tmp_path / "out")]) == 2
    assert "at least two pairs of images NAME_A and NAME_B" in capsys.readouterr().err


def test_one_writes_at_a_time(folder: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What belongs together, a figure and its numbers, is of one run."""
    experiment = ["experiment", "structure", "--data", str(folder), "--out", str(tmp_path)]
    evaluate = ["evaluate", "--checkpoint", f"{trained}/generator.safetensors", "--data", str(folder), "--out", str(tmp_path)]
    for part, command in (("structure", experiment), ("table1", evaluate)):
        with claimed(tmp_path, part):
            assert main(command) == 2
        assert f"huenet: error: {tmp_path} is being written by process" in capsys.readouterr().err


def test_one_draws_its_own_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histogan, "run", functools.partial(histogan.run, pictures=20, size=16, steps=10, width=2))
    assert main(["experiment", "histogan", "--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "histogan.json").read_text())["steps"][-1] == 10
    assert (tmp_path / "histogan.png").is_file()


@pytest.mark.parametrize(
    ("module", "small"), [(style, {"size": 16, "steps": 2}), (domain, {"pictures": 24, "size": 16, "steps": 10})]
)
def test_style_and_domain_draw_their_pictures(
    module: ModuleType, small: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = module.__name__.rpartition(".")[2]
    monkeypatch.setattr(module, "run", functools.partial(module.run, **small))
    assert main(["experiment", name, "--out", str(tmp_path), "--seed", "1"]) == 0
    assert {f"{name}.json", f"{name}.png"} <= {path.name for path in tmp_path.iterdir()}


def test_registration_draws_its_images(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registration, "run", functools.partial(registration.run, side=24, steps=3))
    out = tmp_path / "out"
    assert main(["experiment", "registration", "--out", str(out), "--seed", "3"]) == 0
    numbers = json.loads((out / "registration.json").read_text())
    assert numbers["huenet"]["distance"] < numbers["start"]
    assert (out / "registration.png").is_file()
    assert main(["experiment", "registration", "--data", str(folder), "--out", str(out)]) == 2
    assert "data must not be given for registration" in capsys.readouterr().err
    assert main(["experiment", "harmonic", "--out", str(out)]) == 2
    assert "data must be a folder of images for harmonic, got none" in capsys.readouterr().err

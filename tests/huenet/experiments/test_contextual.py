"""The experiment on shifted photos, with drawn flowers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from huenet.experiments.contextual import LOSSES, QUOTED, run

SMALL = {"photos": 4, "side": 14, "shifts": [0, 1, 3, 4.5, 5, 6.5]}


def test_contextual_loss_follows_what_moved(folder: Path, tmp_path: Path) -> None:
    result = run(folder, tmp_path / "new", **SMALL)
    assert json.loads(json.dumps(result)) == result
    assert result["losses"].keys() == result["unrelated"].keys() == result["quoted"].keys() == LOSSES.keys()
    quoted = SMALL["shifts"].index(QUOTED)
    for name, curve in result["losses"].items():
        assert len(curve) == len(SMALL["shifts"]) and all(0 <= loss < 2 for loss in curve)
        assert curve[0] < 0.01 < curve[1] and curve[quoted] == result["quoted"][name]
    assert result["losses"]["contextual"][2] < 0.5 * result["losses"]["L1"][2]
    with Image.open(tmp_path / "new" / "contextual.png") as figure:
        assert min(figure.size) > 600


def test_is_repeatable(folder: Path, tmp_path: Path) -> None:
    assert run(folder, tmp_path, **SMALL) == run(folder, tmp_path, **SMALL)


def test_bad_input_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"photos must be at least 4 and shifts contain 4\.5, got 3 and \[0, 4\.5\]"):
        run(folder, tmp_path, photos=3, shifts=[0, 4.5])
    with pytest.raises(ValueError, match="8"):
        run(folder, tmp_path, photos=8)

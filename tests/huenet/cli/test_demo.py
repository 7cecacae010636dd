"""`huenet demo`."""

from __future__ import annotations

from pathlib import Path

import pytest

from huenet.cli import demo, main
from tests.huenet.color_transfer.tiny import tiny


def test_demo_trains_evaluates_and_paints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(demo, "DEMO", tiny(steps=2))
    monkeypatch.setattr(demo, "GARDEN", 8)
    for _ in range(2):  # and shows the finished result when called again
        assert main(["demo", "--out", str(tmp_path)]) == 0
        printed = capsys.readouterr().out
        assert "EMD TAR-OUT" in printed and str(tmp_path) in printed
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {"generator.safetensors", "metrics.csv", "table1.md", "table1.json", "comparison.png", "index.html", "samples"}
    assert names >= {"photos.jpg", "coffee_like_rocket.png"}  # by the model in the package

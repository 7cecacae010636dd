"""metrics.csv goes on where the checkpoint is, whatever a kill or an editor left of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from huenet.training.metrics_log import MetricsLog


def log(folder: Path, step: int) -> None:
    opened = MetricsLog(folder, ["total", "emd"], step)
    opened.write(step + 1, {"total": 2.0, "emd": 1.0})
    opened.close()


def test_a_row_that_a_kill_cut_is_forgotten(tmp_path: Path) -> None:
    log(tmp_path, 0)
    path = tmp_path / "metrics.csv"
    path.write_text(path.read_text() + "2,1.5")
    log(tmp_path, 1)
    assert path.read_text().splitlines() == ["step,total,emd", "1,2.0,1.0", "2,2.0,1.0"]


@pytest.mark.parametrize("line", ["one,2,3", "1;2;3", "1,2", "\x00\x00"])
def test_an_edited_file_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    log(tmp_path, 0)
    path = tmp_path / "metrics.csv"
    text = f"{path.read_text()}{line}\n2,2.0,1.0\n"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"metrics\.csv, line 3: expected a step and 2 numbers, got .*: mend the line"):
        log(tmp_path, 2)
    assert path.read_text() == text

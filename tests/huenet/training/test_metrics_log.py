"""metrics.csv goes on where the checkpoint is, whatever a kill or an editor left of it."""

from __future__ import annotations

import os
import re
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


@pytest.mark.parametrize(
    "line", ["one,2,3", "1;2;3", "1,2", "\x00\x00", "2,two,3", "2,nan,3", '"2,2,3', "9" * 5000 + ",2,3", "x" * 20_000]
)
def test_an_edited_file_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    log(tmp_path, 0)
    path = tmp_path / "metrics.csv"
    text = f"{path.read_text()}{line}\n2,2.0,1.0\n"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"metrics\.csv, line 3: expected a step and 2 numbers, got .*: mend the line"):
        log(tmp_path, 2)
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "nothing"),
        ("step,emd,total\n1,1.0,2.0\n", "line 1: expected step,total,emd, got 'step,emd,total'"),
        ("1,2.0,1.0\n", "line 1: expected step,total,emd, got '1,2.0,1.0'"),
        ("step,total,emd\n1,2.0,1.0\n1,2.0,1.0\n", "line 3: expected a step above 1"),
        ("step,total,emd\n2,2.0,1.0\n1,2.0,1.0\n", "line 3: expected a step above 2"),
    ],
)
def test_another_table_is_not_taken_for_this_one(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    if named == "nothing":  # there is nothing to lose
        log(tmp_path, 2)
        assert path.read_text().splitlines() == ["step,total,emd", "3,2.0,1.0"]
        return
    with pytest.raises(ValueError, match=re.escape(named)):
        log(tmp_path, 2)
    assert path.read_text() == text


def test_what_editors_put_around_lines_is_read(tmp_path: Path) -> None:
    log(tmp_path, 0)
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\r\n", b"\n\n").rstrip())
    log(tmp_path, 1)
    assert path.read_text().splitlines() == ["step,total,emd", "1,2.0,1.0", "2,2.0,1.0"]


@pytest.mark.skipif(os.name != "posix", reason="pipes are POSIX's")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "metrics.csv")
    with pytest.raises(OSError, match=r"a pipe, .*metrics\.csv"):
        log(tmp_path, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_with_the_files_name(tmp_path: Path) -> None:
    opened = MetricsLog(tmp_path, ["total", "emd"], 0)
    with open("/dev/full", "w") as full:
        os.dup2(full.fileno(), opened._file.fileno())
    with pytest.raises(OSError, match=r"No space left .*metrics\.csv"):
        opened.write(1, {"total": 2.0, "emd": 1.0})

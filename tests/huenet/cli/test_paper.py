"""`huenet paper`: its table, that it goes on, and what it says of a training that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from huenet.cli import main, trials
from huenet.color_transfer import paper
from tests.huenet.cli.options import OPTIONS

VARIANTS = {"small": tuple(OPTIONS), "without MI": (*OPTIONS, "--mi-weight", "0")}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Tiny models, trained in this process: the commands that were run."""
    monkeypatch.setattr(paper, "VARIANTS", VARIANTS)
    monkeypatch.setattr(paper, "HELD_OUT", 3)
    ran: list[list[str]] = []

    def run(arguments: list[str], jobs: int) -> None:
        ran.append(arguments)
        assert main(arguments) == 0

    monkeypatch.setattr(trials, "run_huenet", run)
    return ran


def test_a_table_of_every_variant_and_method(folder: Path, tmp_path: Path, here: list, capsys: pytest.CaptureFixture) -> None:
    line = ["paper", "--data", str(folder), "--out", str(tmp_path), "--steps", "2", "--pairs", "4"]
    assert main([*line, "--seeds", "1"]) == 0 and len(here) == 4
    assert main([*line, "--seeds", "2"]) == 0 and len(here) == 8  # what was done is not done again
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in (tmp_path / "table.md").read_text().splitlines()]
    assert [row[1] for row in rows[2:]] == ["small", "without MI", "Reinhard (Lab)", "hue histogram matching"]
    assert all(row[2] == "2" and "±" in row[4] for row in rows[2:])
    assert all(float(row[7]) >= 0 for row in rows[2:4])  # minutes
    assert {"figure2.png", "figure3.png", "figure6.png"} <= {path.name for path in tmp_path.iterdir()}
    capsys.readouterr()


def test_other_steps_and_pairs_are_not_taken_for_these(folder: Path, tmp_path: Path, here: list) -> None:
    """A table of one number of steps has no model of another; other pairs of the same model are measured anew."""
    line = ["paper", "--data", str(folder), "--out", str(tmp_path), "--seeds", "1"]
    assert main([*line, "--steps", "2", "--pairs", "4"]) == 0 and len(here) == 4
    assert main([*line, "--steps", "3", "--pairs", "4"]) == 0 and len(here) == 8
    assert main([*line, "--steps", "2", "--pairs", "4"]) == 0 and len(here) == 8
    assert main([*line, "--steps", "2", "--pairs", "5"]) == 0
    reports = sorted(path.parent.name for path in tmp_path.rglob("table1.json"))
    assert reports == ["report-4pairs"] * 4 + ["report-5pairs"] * 2


def test_a_budget_leaves_the_rest_for_later(folder: Path, tmp_path: Path, here: list, capsys: pytest.CaptureFixture) -> None:
    line = ["paper", "--data", str(folder), "--out", str(tmp_path), "--steps", "2", "--pairs", "4", "--minutes", "1e-9"]
    assert main(line) == 0 and not here
    assert "6 of 6 models are left" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--data {tmp}/nowhere", "data must be folders of photos"),
        ("--data {photos} {photos}", "data must be folders of different names"),
        ("--data {photos} --jobs 0", "jobs must be an integer of at least 1"),
        ("--data {photos} --minutes 0", "minutes must be positive"),
        ("--data {photos} --seeds 1 --steps 1", "cannot hold out 30 of 8"),  # what the training says, in a process of its own
    ],
)
def test_mistakes(options: str, said: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    line = f"paper {options} --out {tmp_path}/o".format(photos=folder, tmp=tmp_path)
    assert main(line.split()) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]

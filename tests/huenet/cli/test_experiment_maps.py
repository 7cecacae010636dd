"""`huenet experiment maps`: its table and figures, that it goes on, and mistakes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from huenet.cli import main, trials
from huenet.translation.map_trials import VARIANTS
from tests.huenet.translation.test_cli import OPTIONS


@pytest.fixture
def ground(folder: Path, tmp_path: Path) -> Path:
    """Flowers in the folder photos, and as pairs in the folder pairs."""
    shutil.copytree(folder, tmp_path / "photos")
    (tmp_path / "pairs").mkdir()
    for number, path in enumerate(sorted(folder.iterdir())[:4]):
        shutil.copy(path, tmp_path / "pairs" / f"{number // 2}_{'AB'[number % 2]}{path.suffix}")
    return tmp_path


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Tiny models, trained in this process: the commands that were run."""
    ran: list[list[str]] = []
    own = [part for part in OPTIONS if part != "--no-progress"]
    own = own[2:]  # the size is given

    def run(arguments: list[str], jobs: int) -> None:
        ran.append(arguments)
        assert main([*arguments, *own]) == 0

    monkeypatch.setattr(trials, "run_huenet", run)
    return ran


def line(ground: Path, *options: str) -> list[str]:
    folders = ["--a", f"{ground}/photos", "--b", f"{ground}/photos", "--pairs", f"{ground}/pairs", "--out", f"{ground}/out"]
    return ["experiment", "maps", *folders, "--size", "16", "--steps", "2", *options]


def test_a_table_of_every_variant(ground: Path, here: list, capsys: pytest.CaptureFixture) -> None:
    assert main(line(ground, "--variants", "cyclegan", "gan + structure", "--structure-weight", "3")) == 0 and len(here) == 2
    assert here[1][here[1].index("--structure-weight") + 1] == "3.0" and "a-to-b" in here[1]
    assert main(line(ground)) == 0 and len(here) == 6  # cyclegan is not trained again; another weight is another model
    assert main(line(ground, "--seeds", "2")) == 0 and len(here) == 11
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in (ground / "out" / "table.md").read_text().splitlines()]
    assert [row[0] for row in rows[2:]] == [*VARIANTS, "the photo itself", "one colour, the maps' mean", "the true map"]
    assert all(row[2] == "2" and "±" in row[3] for row in rows[2:7])
    assert [row[1] for row in rows[2:7]] == ["", "5", "1", "5", ""]
    assert float(rows[-1][3]) == 0 and float(rows[-1][4]) == 100  # the truth's errors
    assert {"comparison.png", "scatter.png"} <= {path.name for path in (ground / "out").iterdir()}
    capsys.readouterr()


def test_a_budget_leaves_the_rest_for_later(ground: Path, here: list, capsys: pytest.CaptureFixture) -> None:
    assert main(line(ground, "--minutes", "1e-9")) == 0 and not here
    assert "5 of 5 models are left" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--jobs 0", "jobs must be an integer of at least 1"),
        ("--minutes 0", "minutes must be positive"),
        ("--size 8", "size must be an integer of at least 16"),
        ("--seeds 0", "seeds must be an integer of at least 1"),
        ("--structure-weight -1", "structure_weight must be a number of at least 0"),
        ("--variants unit", "--variants"),
        ("--pairs {ground}/photos", "at least two pairs of images NAME_A and NAME_B"),
        ("--b {ground}/nowhere", "nowhere is not a folder of images"),
        ("--out {ground}/photos", "is among the photos of"),
    ],
)
def test_mistakes(options: str, said: str, ground: Path, here: list, capsys: pytest.CaptureFixture) -> None:
    assert main(line(ground, *options.format(ground=ground).split())) == 2
    assert said in capsys.readouterr().err.splitlines()[-1] and not here

"""`huenet experiment digits`: its table, that it goes on, and what it says of mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from huenet.cli import main, trials
from huenet.files import claimed
from huenet.translation import judges
from tests.huenet.translation.handwriting import written


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("mnist") / "mnist.npz")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Trainings in this process: the commands that were run."""
    ran: list[list[str]] = []

    def run(arguments: list[str], jobs: int) -> None:
        ran.append(arguments)
        assert main(arguments) == 0

    monkeypatch.setattr(trials, "run_huenet", run)
    monkeypatch.setattr(judges.train_classifier, "__defaults__", (0, 1))
    return ran


def line(mnist: Path, folder: Path, out: Path, *more: str, steps: int = 2) -> list[str]:
    given = {"mnist": mnist, "photos": folder, "out": out, "steps": steps, "width": 2}
    return ["experiment", "digits", *(str(part) for name, value in given.items() for part in (f"--{name}", value)), *more]


def cells(out: Path) -> list[list[str]]:
    rows = (out / "table.md").read_text(encoding="utf-8").splitlines()[4:]
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]


def test_a_table_of_every_method_that_goes_on(
    mnist: Path, folder: Path, tmp_path: Path, here: list, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line(mnist, folder, tmp_path, "--seeds", "1")) == 0 and len(here) == 8
    assert [row[:4] for row in cells(tmp_path)] == [
        [method, structure, "2", "1"] for method in ("gan", "cyclegan", "gcgan-rot", "gcgan-vf") for structure in ("none", "40")
    ]
    assert all(0 <= float(row[column]) <= 100 for row in cells(tmp_path) for column in (5, 7, 9, 11))
    with Image.open(tmp_path / "translations.png") as figure:
        assert figure.width > 1500
    assert "Classifiers of true test digits: MNIST" in capsys.readouterr().out
    # what was done is not done again; of the first method alone there are more seeds, and the table keeps the others
    assert main(line(mnist, folder, tmp_path, "--seeds", "2")) == 0 and len(here) == 10
    assert [row[3] for row in cells(tmp_path)] == ["2", "2", *6 * "1"]
    more = line(mnist, folder, tmp_path, "--methods", "gan", "--seeds", "1", "--structure-weights", "5", "300")
    assert main(more) == 0 and len(here) == 12
    assert [row[1] for row in cells(tmp_path)][:4] == ["none", "5", "40", "300"]


def test_more_steps_go_on_with_the_same_training(
    mnist: Path, folder: Path, tmp_path: Path, here: list, capsys: pytest.CaptureFixture[str]
) -> None:
    about = "--methods", "gan", "--seeds", "1", "--directions", "b-to-a"
    assert main(line(mnist, folder, tmp_path, *about)) == 0
    assert main(line(mnist, folder, tmp_path, *about, steps=3)) == 0 and len(here) == 4
    found = sorted(path.name for path in tmp_path.glob("gan-*/scc-none/seed0/*.json"))
    assert found == ["accuracy-2.json", "accuracy-3.json"]
    metrics = next(tmp_path.glob("gan-*/scc-none/seed0/metrics.csv")).read_text().splitlines()
    assert [row.split(",")[0] for row in metrics] == ["step", "2", "3"]
    assert [row[5] for row in cells(tmp_path)] == ["", ""] and cells(tmp_path)[0][7]  # one direction alone
    capsys.readouterr()


def test_a_budget_leaves_the_rest_for_later(
    mnist: Path, folder: Path, tmp_path: Path, here: list, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line(mnist, folder, tmp_path, "--minutes", "1e-9")) == 0 and not here
    assert "12 of 12 models are left: the same command goes on" in capsys.readouterr().out


def test_it_runs_huenet_in_processes_two_at_a_time(
    mnist: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line(mnist, folder, tmp_path, "--methods", "gan", "--seeds", "1", "--jobs", "2")) == 0
    assert len(cells(tmp_path)) == 2
    assert "left" not in capsys.readouterr().out
    record = json.loads(next(tmp_path.glob("gan-*/scc-40/seed0/accuracy-2.json")).read_text())
    assert record["structure"]["weight"] == 40 and set(record["test"]) == set(record["training"]) == {"a-to-b", "b-to-a"}


def test_other_digits_are_refused(
    mnist: Path, folder: Path, tmp_path: Path, here: list, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line(mnist, folder, tmp_path, "--minutes", "1e-9")) == 0
    assert main(line(mnist, folder, tmp_path, "--count", "72")) == 2
    assert "has translations of other digits: repeat --mnist" in capsys.readouterr().err
    with claimed(tmp_path, "table"):
        assert main(line(mnist, folder, tmp_path)) == 2
    assert "is being written by process" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--mnist {tmp}/none.npz", "none.npz: No such file"),
        ("--mnist {photo}", "mnist must be an .npz with images and labels or x_train and y_train, got {photo}"),
        ("--photos {tmp}/nowhere", "nowhere"),
        ("--out {photos}", "is among the photos"),
        ("--methods dualgan", "dualgan"),
        ("--directions a-to-b", "directions must be both for cyclegan, whose cycle needs both, got a-to-b"),
        ("--structure-weights -1", "structure_weight must be a number of at least 0, got -1"),
        ("--structure-sigma 0", "structure_sigma must be a positive number, got 0"),
        ("--count 3", "count must be an integer of at least 64, got 3"),
        ("--steps 0", "steps must be an integer of at least 1"),
        ("--seeds 0", "seeds must be an integer of at least 1"),
        ("--width 0", "width must be an integer of at least 1"),
        ("--jobs 0", "jobs must be an integer of at least 1"),
        ("--minutes 0", "minutes must be positive"),
        ("--mehtods gan", "did you mean --methods?"),
    ],
)
def test_mistakes(options: str, said: str, mnist: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"tmp": tmp_path, "photos": folder, "photo": min(folder.iterdir())}
    assert main([*line(mnist, folder, tmp_path / "o"), *options.format(**names).split()]) == 2
    told = capsys.readouterr().err
    assert said.format(**names) in told and len(told.splitlines()) == 1 and "Traceback" not in told

"""Options, presets and help; and how fast it comes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from huenet.cli import arguments
from huenet.cli.arguments import parse
from huenet.cli.mistakes import Mistake
from huenet.color_transfer.presets import DEFAULT, PAPER, SMALL
from tests.paths import REPOSITORY


def test_no_traceback_and_a_quick_answer_in_a_process_of_its_own() -> None:
    def huenet_command(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "huenet", *arguments],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "COLUMNS": "80"},
        )

    wrong = huenet_command("train", "--bogus")
    said = [line for line in wrong.stderr.splitlines() if not line.startswith("import time:")]
    assert wrong.returncode == 2 and len(said) == 1 and said[0].startswith("huenet: error: ") and "--bogus" in said[0]
    helped = huenet_command("--help")
    assert helped.returncode == 0 and all(name in helped.stdout for name in ("demo", "train", "transfer", "evaluate"))
    imported = {line.rsplit("|", 1)[-1].strip() for line in helped.stderr.splitlines()}
    assert "huenet.cli" in imported and not imported & {"torch", "numpy", "matplotlib"}


@pytest.mark.parametrize(("arguments", "preset"), [([], DEFAULT), (["--preset", "small"], SMALL), (["--preset=paper"], PAPER)])
def test_presets_come_first_wherever_they_stand(arguments: list[str], preset) -> None:
    command = parse(["train", "--steps", "7", "--data", "d", "--out", "o", *arguments])
    assert command.model == preset.model and command.loss == preset.loss
    assert command.train.steps == 7 and command.train.batch_size == preset.train.batch_size


def test_every_option_of_the_issue_is_there() -> None:
    line = "train --data d --out o --preset small --steps 9 --size 48 --batch-size 3 --bins 99 --hold-out 4 --seed 5"
    command = parse(f"{line} --device cpu --checkpoint-every 6 --max-minutes 1.5".split())
    assert (command.train.steps, command.model.size, command.train.batch_size, command.loss.bins) == (9, 48, 3, 99)
    assert (command.train.hold_out, command.train.seed, command.run.device) == (4, 5, "cpu")
    assert (command.run.checkpoint_every, command.run.max_minutes) == (6, 1.5)


COMMANDS = [
    "demo",
    "train",
    "transfer",
    "evaluate",
    "experiment",
    "experiment maps",
    "experiment digits",
    "paper",
    "questionnaire",
    "questionnaire score",
]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example(name: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        parse([*name.split(), "--help"])
    assert end.value.code == 0
    assert f"    huenet {name}" in capsys.readouterr().out


def test_options_are_known_in_every_spelling() -> None:
    command = parse(["train", "--data=d", "--out", "o", "--batch_size", "3", "--no-flips", "--no-progress"])
    assert command.train.batch_size == 3 and not command.train.flips and not command.run.progress
    assert parse(["transfer", "--checkpoint", "c", "--out", "o", "--", "--s.png", "t.png"]).source == Path("--s.png")
    with pytest.raises(Mistake, match="did you mean --hold-out"):
        parse(["train", "--data", "d", "--out", "o", "--hold-oot", "3"])


def test_mistakes_are_clear_where_no_boxes_can_be_drawn() -> None:
    said = " Required options \n -------- \n Missing from huenet train: \n --out PATH \n -------- \n For full helptext, run: \n"
    assert arguments._unboxed(said) == "Missing from huenet train: --out PATH"


def test_an_empty_argument_is_no_folder() -> None:
    with pytest.raises(Mistake, match="empty argument after --out: is it a variable that is not set"):
        parse(["evaluate", "--checkpoint", "c", "--data", "d", "--out", ""])


def test_parse_raises_mistakes() -> None:
    with pytest.raises(Mistake, match="--out"):
        parse(["train"])

"""Ways of computing a training step on a CPU, in turn."""

from __future__ import annotations

import shutil

import pytest
import torch

from bench import cpu, training
from bench.__main__ import main
from bench.cpu import PLAIN, WAYS, Way
from huenet.data.garden import garden
from tests.bench.test_predict import tiny


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "configuration", lambda *_: tiny())
    monkeypatch.setattr(training, "_photos", lambda size: garden(4, size, seed=0))


def test_a_table_as_one_asks_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cpu", "--steps", "2", "--no-compile", "--threads", "1"]) == 0
    text = capsys.readouterr().out
    titles = [way.title for way in WAYS if not way.compiled]
    assert titles == ["plain", "one thread", "channels last", "bfloat16", "channels last, bfloat16"]
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")][1:]
    assert [row[0].removeprefix("| ") for row in rows] == titles
    assert rows[0][2:] == ["1.00", "same |"] and rows[3][3] != "same |"
    assert "batch 8, K = 256 for both losses; " in text and "1 thread, torch" in text


def test_without_a_compiler_one_line_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert main(["cpu", "--steps", "1"]) == 2
    assert "compile needs a C++ compiler" in capsys.readouterr().err


def test_every_way_is_what_it_says() -> None:
    plain, last = (cpu._Trial(way, 1, "small", 32, 2, 16) for way in (PLAIN, Way(channels_last=True, bfloat16=True)))
    weights = [one for one in last.step.trainer.generator.parameters() if one.ndim == 4]
    assert all(one.is_contiguous(memory_format=torch.channels_last) for one in weights) and last.step.trainer.networks.half
    assert plain.threads == 1 and not plain.step.trainer.networks.half

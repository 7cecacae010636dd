"""`--profile`: a table and a trace in the run's folder, and the run is the same."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch

from huenet.cli import main
from huenet.training import run
from tests.huenet.cli.options import OPTIONS
from tests.huenet.color_transfer.tiny import begin, tiny
from tests.huenet.training.runs import assert_equal, profiled, rows, timeless, weights


def traced(out: Path) -> set[str]:
    """Names of what the trace has."""
    return {event.get("name") for event in json.loads(gzip.decompress((out / "profile.json.gz").read_bytes()))["traceEvents"]}


def test_a_profile_is_written_and_the_run_is_the_same(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "--data", str(folder), "--log-every", "1", *OPTIONS]
    assert main([*command, "--out", str(tmp_path / "plain"), "--steps", "9"]) == 0
    capsys.readouterr()
    assert main([*command, "--out", str(tmp_path / "out"), "--steps", "2"]) == 0
    assert main([*command, "--out", str(tmp_path / "out"), "--steps", "9", "--profile", "2"]) == 0
    out = tmp_path / "out"
    assert f"profile of steps 6 to 9: {out / 'profile.md'}, {out / 'profile.json.gz'}" in capsys.readouterr().err
    shares = profiled(out)
    assert list(shares) == ["data", "generator", "discriminator", "losses", "optimiser", "other"]
    assert all(time > 0 for time, _ in shares.values()) and sum(share for _, share in shares.values()) == pytest.approx(
        100, abs=0.4
    )
    text = (out / "profile.md").read_text()
    assert re.match(r"Steps 6 to 7, batch 4, float32; .*, torch .*: median .* ms, .* images/s, MFU .*%\.", text)
    assert {"aten::convolution", "Optimizer.step#Adam.step"} <= traced(out)
    assert_equal(weights(out), weights(tmp_path / "plain"))
    assert timeless(out) == timeless(tmp_path / "plain")


@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
def test_compiled_steps_have_parts_too(folder: Path, tmp_path: Path) -> None:
    torch.compiler.reset()
    options = shlex.split("--steps 5 --profile 1 --compile --depth 1 --head rotation --conditioning image --discriminator-depth 1")
    assert main(["train", "--data", str(folder), "--out", str(tmp_path), *OPTIONS, *options]) == 0
    assert list(profiled(tmp_path)) == ["data", "generator", "discriminator", "losses", "optimiser", "other"]
    assert ", float32, compiled; " in (tmp_path / "profile.md").read_text()
    assert float(rows(tmp_path)[-1]["mfu"]) > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            "--steps 6 --profile 2",
            "profile must be at most 1, as 6 steps are left: 3 to warm up, and as many to trace as to watch; got 2",
        ),
        ("--steps 2 --profile 1", "profile must be at most 0, as 2 steps are left"),
        ("--profile -1", "profile must be an integer of at least 0, got -1"),
    ],
)
def test_more_than_there_is_is_one_line(options: str, said: str, folder: Path, tmp_path: Path, capsys) -> None:
    command = ["train", "--data", str(folder), "--out", str(tmp_path / "out"), *OPTIONS, *shlex.split(options)]
    assert main(command) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line


def test_stopped_in_the_middle_it_is_made_the_next_time(tmp_path: Path) -> None:
    training = begin(tiny(steps=20), tmp_path, profile=2)
    for _ in range(6):
        training._train_step()
    training._save()
    training.close()
    assert not list(tmp_path.glob("profile.*"))
    again = begin(tiny(steps=20), tmp_path, profile=2)
    again.proceed()
    again.close()
    assert "Steps 10 to 11, " in (tmp_path / "profile.md").read_text() and "aten::convolution" in traced(tmp_path)


def test_what_is_used_of_the_device_is_in_the_metrics_and_on_the_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "peak", lambda *_: 1e12)
    training = begin(tiny(steps=1), tmp_path)
    losses = training._train_step()
    assert re.search(r"images/s, MFU \d+%$", training._report(losses))
    training.close()
    (row,) = rows(tmp_path)
    assert float(row["mfu"]) == pytest.approx(training.operations * float(row["images_per_second"]) / 4 / 1e12)


def test_where_no_peak_is_known_none_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a run whose log has or lacks it goes on."""
    for step, known in enumerate((None, 1e12, None)):
        monkeypatch.setattr(run, "peak", lambda *_, known=known: known)
        training = begin(tiny(steps=step + 1), tmp_path)
        training.proceed()
        training.close()
        if step == 0:  # as versions before it wrote
            path = tmp_path / "metrics.csv"
            path.write_text("".join(line.rpartition(",")[0] + "\n" for line in path.read_text().splitlines()))
    assert [row["mfu"] == "" for row in rows(tmp_path)] == [True, False, True]

"""What imports load, and how long they take."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from huenet.cli import main
from huenet.cli.mistakes import OF_TRAINING
from tests.paths import REPOSITORY

HEAVY = ("matplotlib", "scipy", "skimage", "sympy", "tensorboard", "torch._dynamo", "torch._inductor", "torch.utils.tensorboard")
OPERATORS = ["huenet.kernels", "huenet.losses", "huenet.distributed", "huenet.metrics.hue"]
OPERATORS += [f"huenet.compat.{library}" for library in ("kornia", "monai", "voxelmorph", "histogan", "contextual", "torch")]
SYSTEM = [
    "huenet.color_transfer.painter",
    "huenet.training.run",
    "huenet.color_transfer.system",
    "huenet.color_transfer.evaluation",
]

TIMED = """
import json, sys, time
start = time.process_time()
import torch
torch_alone, loaded = time.process_time(), set(sys.modules)
for name in sys.argv[1:]:
    __import__(name)
done = time.process_time()
print(json.dumps({"ratio": (done - torch_alone) / (torch_alone - start), "loaded": sorted(set(sys.modules) - loaded)}))
"""


def imported(*modules: str) -> dict:
    """The processor time of importing them beyond torch, over torch's own; and what that loaded."""
    done = subprocess.run([sys.executable, "-c", TIMED, *modules], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("modules", [OPERATORS, OPERATORS + SYSTEM], ids=["operators", "system"])
def test_nothing_heavy_is_loaded_before_it_is_used(modules: list[str]) -> None:
    for module in modules:
        loaded = imported(module)["loaded"]
        heavy = [name for name in (*HEAVY, "triton", *(("PIL", "tyro") if module in OPERATORS else ())) if name in loaded]
        assert module in loaded and not heavy, (module, heavy)


def test_operators_load_torch_and_the_standard_library_alone() -> None:
    """So that who writes losses may leave everything else out."""
    tops = {name.split(".")[0] for name in imported("huenet.kernels", "huenet.losses")["loaded"]}
    assert tops <= {"huenet", "torch", *sys.stdlib_module_names}


def test_operators_take_a_fraction_of_what_torch_takes_to_import() -> None:
    """A fifth of a second where torch takes .9; torch._dynamo, which decorators of torch.compiler load, takes as long as torch.

    Processor time, in the same process as torch's own, and the median: neighbours on the machine slow both.
    """
    ratios = [imported("huenet.kernels")["ratio"] for _ in range(5)]
    assert statistics.median(ratios) < 0.2 / 0.9, ratios


def test_the_extra_is_what_the_commands_ask_for() -> None:
    extra = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]["train"]
    distributions = {re.split(r"\W*>=", line)[0] for line in extra}
    assert {{"skimage": "scikit-image"}.get(name, name) for name in OF_TRAINING} == distributions


@pytest.mark.parametrize("missing", OF_TRAINING)
@pytest.mark.parametrize(
    "line",
    [
        "demo",
        "train --data {photos}",
        "translate train --a {photos} --b {photos}",
        "evaluate --checkpoint {run} --data {photos}",
        "experiment registration",
        "experiment maps --a {photos} --b {photos} --pairs {photos}",
        "experiment digits --mnist {run} --photos {photos}",
        "paper --data {photos}",
    ],
)
def test_commands_without_the_extra_end_in_one_line(
    line: str, missing: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == missing else find(name, *rest))
    words = line.format(photos=folder, run=tmp_path / "none.safetensors").split()
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    command = " ".join(itertools.takewhile(lambda word: word != "registration" and not word.startswith("-"), words))
    assert told == f"huenet: error: huenet {command} needs {missing}, not installed here: pip install 'huenet[train]'\n"
    assert not (tmp_path / "out").exists()

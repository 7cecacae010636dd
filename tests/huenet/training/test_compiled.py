"""A step that is compiled does what one does that is not, and the host waits for the device in neither."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from huenet.cli import main
from huenet.color_transfer.system import ColorTransfer
from huenet.training.config import RunConfig
from huenet.training.distributed import ALONE
from huenet.training.run import train
from tests.huenet.cli.options import OPTIONS
from tests.huenet.color_transfer.tiny import RUN, TINY, photos, tiny
from tests.huenet.training.runs import assert_equal, timeless, weights
from tests.huenet.training.waiting import NoCalls, NoOperations, Waiting

SETTINGS = {
    "default": tiny(steps=20),
    "paper": tiny(
        steps=20, norm="batch", upsample="transposed", input_skip=False, head="absolute", hue_input="value", conditioning="image",
        emd_scale="raw", boundary="open", weighting="uniform", hue_jitter=0.0, ema=0.0,
    ),
    "alone": tiny(steps=20, adversarial_weight=0.0),
}  # fmt: skip
HALF = {"bfloat16": tiny(steps=20, precision="bfloat16")}
"""In which sums of gradients are rounded to eight bits, in an order that compilation changes."""


def system(config=TINY, compiler: str | None = None) -> ColorTransfer:
    """A tiny system whose step is compiled by a backend, if one is named."""
    torch.compiler.reset()
    return ColorTransfer(config, photos(), dataclasses.replace(ALONE, compiler=compiler))


def losses(trained: ColorTransfer, steps: int = 20) -> Tensor:
    """All losses of the first steps, (steps, losses)."""
    return torch.stack([torch.stack(list(trained.step(step).values())) for step in range(steps)])


@pytest.mark.parametrize("name", SETTINGS)
def test_as_one_graph_each_the_losses_are_the_same_bit_for_bit(name: str) -> None:
    """Compilation is with fullgraph=True, so that a graph break is an error."""
    eager, compiled = system(SETTINGS[name]), system(SETTINGS[name], "aot_eager")
    assert torch.equal(losses(compiled), losses(eager))
    assert_equal(compiled.state(), eager.state())
    graphs = torch._dynamo.utils.counters["stats"]
    assert graphs["unique_graphs"] >= 3 and not torch._dynamo.utils.counters["graph_break"]


@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
def test_by_inductor_the_losses_are_the_same_but_for_rounding(folder: Path, tmp_path: Path) -> None:
    """By the command. The network is the smallest, as its compilation takes most of the time."""
    torch.compiler.reset()
    options = shlex.split("--steps 20 --log-every 1 --depth 1 --head rotation --conditioning image --discriminator-depth 1")
    command = ["train", "--data", str(folder), *OPTIONS, *options]
    assert main([*command, "--out", str(tmp_path / "compiled"), "--compile"]) == 0
    assert main([*command, "--out", str(tmp_path / "eager")]) == 0
    for found, expected in zip(timeless(tmp_path / "compiled"), timeless(tmp_path / "eager"), strict=True):
        for name, value in expected.items():
            assert abs(float(found[name]) - float(value)) <= 1e-4 * max(1.0, abs(float(value)))


def test_a_run_may_be_resumed_with_and_without(tmp_path: Path) -> None:
    config = tiny(steps=4)
    for steps, compiler in ((2, "aot_eager"), (3, None), (4, "aot_eager")):
        train(system(tiny(steps=steps), compiler), tmp_path / "parts", RUN)
    train(system(config), tmp_path / "whole", RUN)
    assert_equal(weights(tmp_path / "parts"), weights(tmp_path / "whole"))
    assert timeless(tmp_path / "parts") == timeless(tmp_path / "whole")


def test_without_a_compiler_one_line_says_so(folder: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert main(["train", "--data", str(folder), "--out", str(tmp_path), *OPTIONS, "--compile"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "compile needs a C++ compiler" in line and "found none" in line


@pytest.mark.parametrize("name", [*SETTINGS, *HALF])
def test_the_host_never_waits_in_a_step(name: str) -> None:
    trained = system((SETTINGS | HALF)[name])
    trained.step(0)  # optimisers and averages begin
    with NoCalls(), NoOperations():
        trained.step(1)


@pytest.mark.parametrize(
    "wait",
    [lambda x: x.sum().item(), lambda x: x.cpu(), lambda x: x.nonzero(), lambda x: x[x > 0], lambda x: bool(x.sum() > 0)],
    ids=["item", "cpu", "nonzero", "mask", "bool"],
)
def test_a_wait_would_be_noticed(wait: Callable[[Tensor], Any]) -> None:
    x = torch.rand(4)
    with pytest.raises(Waiting), NoCalls(), NoOperations():
        wait(x)


def test_it_is_how_a_run_is_made_not_what_it_is() -> None:
    assert not RunConfig().compile and not hasattr(TINY.train, "compile")

"""docs/cyclegan.md and its script: the diff is the script's, the losses are those of the papers, and the step trains."""

from __future__ import annotations

import re
import sys

import pytest
import torch

from docs import cyclegan
from tests.paths import REPOSITORY

PAGE = (REPOSITORY / "docs" / "cyclegan.md").read_text(encoding="utf-8")
SCRIPT = (REPOSITORY / "docs" / "cyclegan.py").read_text(encoding="utf-8")


def test_the_diff_is_the_script_s():
    """Line by line: what the page adds is what is marked in the script, and what it keeps stands there too."""
    diff = re.search(r"```diff\n(.*?)```", PAGE, re.DOTALL)[1].splitlines()
    added = [line[1:].strip() for line in diff if line.startswith("+")]
    marked = [line.split("  # +")[0].strip() for line in SCRIPT.splitlines() if line.endswith("  # +")]
    assert added == [line for line in marked if "None" not in line]  # but for what leaves losses out, to be measured
    assert all(line.strip() in SCRIPT for line in diff if line.startswith(" "))


@pytest.mark.parametrize("name", cyclegan.LOSSES)
def test_losses_are_those_that_they_are_measured_against(name: str) -> None:
    ours, theirs = cyclegan.LOSSES[name]
    generator = torch.Generator().manual_seed(0)
    x, y = (2 * torch.rand(1, 3, 40, 40, generator=generator, dtype=torch.float64) - 1 for _ in "xy")
    x.requires_grad_()
    y.requires_grad_()
    found, expected = ours(x, y), theirs(x, y)
    # huenet's polynomials stop at 1e-12; rSMI's system brings errors back 2^18 times (bench/operators.py)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    for slope, other in zip(*(torch.autograd.grad(loss, (x, y)) for loss in (found, expected))):
        torch.testing.assert_close(slope, other, rtol=0, atol=1e-6 * other.abs().max().item())


def test_a_step_trains_all_networks_and_a_loss_may_be_left_out() -> None:
    torch.manual_seed(0)
    model, (a, b) = cyclegan.CycleGAN(width=4, blocks=1), 2 * torch.rand(2, 1, 3, 64, 64) - 1
    networks = (model.G, model.F, model.D_A, model.D_B)
    before = [next(network.parameters()).detach().clone() for network in networks]
    generators = [{name: value.clone() for name, value in network.state_dict().items()} for network in (model.G, model.F)]
    with_all = model.step(a, b)
    assert all(not torch.equal(next(network.parameters()), old) for network, old in zip(networks, before))
    torch.manual_seed(0)
    again = cyclegan.CycleGAN(width=4, blocks=1)
    assert all(torch.equal(again.G.state_dict()[name], value) for name, value in generators[0].items())
    assert again.step(a, b, **cyclegan.NONE) != with_all


def test_it_runs_as_the_page_says(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    line = "cyclegan --size 64 --width 2 --blocks 0 --rounds 1"
    monkeypatch.setattr(sys, "argv", line.split())
    cyclegan.main()
    rows = [row.split("|")[1].strip() for row in capsys.readouterr().out.splitlines() if row.startswith("|")][2:]
    told = [row.split("|")[1].strip() for row in PAGE.splitlines() if row.startswith("| ")][1:]
    assert rows == told and len(rows) == 9


def test_mistakes_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["cyclegan", "--size", "32"])
    with pytest.raises(SystemExit) as end:
        cyclegan.main()
    assert end.value.code == 2 and "--size must be at least 64, got 32" in capsys.readouterr().err

"""Parts of a step: who hears of them, and that a backward pass goes through them in reverse."""

from __future__ import annotations

import torch
from torch import Tensor

from huenet.training.parts import Shares, begins, heard_by, of_part


def test_a_backward_pass_goes_through_the_parts_in_reverse() -> None:
    first = of_part("first", lambda x: {"nested": [x * 2, x.detach()]})
    last = of_part("last", lambda found: (found["nested"][0] ** 2, None))
    heard: list[str] = []
    with heard_by(heard.append):
        output, _ = last(first(torch.ones(3, requires_grad=True)))
        begins("backward")
        output.sum().backward()
    assert heard == ["first", "other", "last", "other", "backward", "last", "first"]


def test_nobody_hears_what_nobody_watches() -> None:
    heard: list[str] = []
    with heard_by(heard.append):
        pass
    x = of_part("part", lambda x: x * 1)(torch.ones(3, requires_grad=True))
    x.sum().backward()
    assert heard == [] and not x._backward_hooks


def test_every_moment_belongs_to_a_part() -> None:
    shares = Shares(torch.device("cpu"))

    def step() -> Tensor:
        begins("a")
        begins("b")
        begins("a")
        return torch.zeros(())

    assert shares.watch(step).item() == 0 and shares.watch(lambda: None) is None
    assert list(shares.means()) == ["a", "b", "other"] and list(shares.records[1]) == ["other"]
    assert abs(sum(shares.means().values()) - sum(shares.steps()) / 2) < 1e-12

"""Histograms over processes, with real ones: losses and gradients of one process with all samples.

Tolerance EXACT, what the project promises: sums of some thousand float64 terms in another order differ by 1e-13, and logarithms of
near-empty cells magnify that to 1e-10 (tests/kernels/test_mutual_information.py).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from huenet.distributed import all_reduce_histogram, all_reduce_sum
from huenet.kernels import Bins, MutualInformation, emd, joint_histogram, mutual_information, soft_histogram
from tests.assertions import assert_close, assert_gradients_close
from tests.huenet import processes
from tests.paths import REPOSITORY

EXACT = 1e-9
HUE = Bins(32, boundary="circular")
SHARES = {"two": [700, 200], "three": [150, 610, 140], "one is empty": [400, 0, 500], "two, one is empty": [0, 900]}


def drawn(rows: int = 2) -> list[Tensor]:
    """Samples x, y that depend on each other, and weights, (rows, 900) float64."""
    x, noise, weights = torch.rand(3, rows, 900, generator=torch.Generator().manual_seed(0), dtype=torch.float64).unbind()
    return [x.square(), (x + 0.3 * noise) % 1, weights]


def share_of(tensors: list[Tensor], shares: list[int], rank: int) -> list[Tensor]:
    return [tensor.split(shares, -1)[rank].clone().requires_grad_() for tensor in tensors]


def color(x: Tensor, y: Tensor, weights: Tensor | None, joined=lambda histogram, votes: histogram) -> Tensor:
    histogram = joined(soft_histogram(x, HUE, weights=weights), x.shape[-1] if weights is None else weights.sum(-1))
    other = joined(soft_histogram(y, HUE), y.shape[-1])
    return emd(histogram, other, circular=True).mean()


def content(x: Tensor, y: Tensor, weights: Tensor | None, joined=lambda histogram, votes: histogram) -> Tensor:
    votes = x.shape[-1] if weights is None else weights.sum(-1)
    return 1 - MutualInformation.of_joint(joined(joint_histogram(x, y, HUE, weights=weights), votes)).relative.mean()


@pytest.mark.parametrize("weighted", [False, True], ids=["samples", "weights"])
@pytest.mark.parametrize("loss", [color, content])
@pytest.mark.parametrize("shares", SHARES.values(), ids=SHARES)
def test_losses_and_gradients_are_those_of_one_process(shares, loss, weighted, tmp_path: Path) -> None:
    inputs = drawn()[: 3 if weighted else 2]

    def work(rank: int) -> list[Tensor]:
        leaves = share_of(inputs, shares, rank)
        value = loss(*leaves[:2], leaves[2] if weighted else None, all_reduce_histogram)
        value.backward()
        return [value.detach(), *(leaf.grad for leaf in leaves)]

    found = processes.run(work, len(shares), tmp_path)
    leaves = share_of(inputs, [900], 0)
    expected = loss(*leaves[:2], leaves[2] if weighted else None)
    expected.backward()
    assert expected > 0.01
    for value, *_ in found:
        assert_close(value, expected.detach(), EXACT)
        assert torch.equal(value, found[0][0])  # the same bits everywhere
    together = [torch.cat(parts, -1) for parts in list(zip(*found))[1:]]
    assert_gradients_close(together, [leaf.grad for leaf in leaves], EXACT)


def test_mutual_information_of_a_joint_histogram_is_that_of_its_samples() -> None:
    x, y, weights = (tensor.requires_grad_() for tensor in drawn())
    of_joint = MutualInformation.of_joint(joint_histogram(x, y, HUE, 16, weights=weights))
    of_samples = mutual_information(x, y, HUE, 16, weights=weights)
    for a, e in zip(of_joint, of_samples):
        assert_close(a, e, EXACT)
    slopes = [torch.autograd.grad(found.relative.sum(), [x, y, weights]) for found in (of_joint, of_samples)]
    assert_gradients_close(*map(list, slopes), EXACT)
    with pytest.raises(ValueError, match=r"joint must have bins on its last two dimensions, got \(4,\)"):
        MutualInformation.of_joint(torch.rand(4))


class Painter(nn.Module):
    """A few parameters, through which a gradient comes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1), nn.Sigmoid()).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.unsqueeze(-1)).squeeze(-1)


@pytest.mark.parametrize("wrapped", [False, True], ids=["summed by hand", "DistributedDataParallel"])
def test_gradients_of_parameters(wrapped, tmp_path: Path) -> None:
    shares = [700, 200]
    x, y, _ = drawn(rows=1)

    def work(rank: int) -> list[Tensor]:
        painter = DistributedDataParallel(Painter()) if wrapped else Painter()
        source, target = (tensor.split(shares, -1)[rank] for tensor in (x, y))
        gradients = "mean" if wrapped else "sum"
        loss = color(painter(source), target, None, lambda h, votes: all_reduce_histogram(h, votes, gradients=gradients))
        loss.backward()
        return [p.grad if wrapped else all_reduce_sum(p.grad) for p in painter.parameters()]

    painter = Painter()
    color(painter(x), y, None).backward()
    for found in processes.run(work, 2, tmp_path):
        assert_gradients_close(found, [p.grad for p in painter.parameters()], EXACT, "weight bias weight bias")


def test_a_group_is_joined_and_others_are_not(tmp_path: Path) -> None:
    """Of three processes the first two join; the third is told that it does not belong to them."""

    def work(rank: int) -> Tensor | str:
        pair = dist.new_group([0, 1])
        try:
            return all_reduce_histogram(torch.full((1,), float(rank)), 1, pair)
        except ValueError as error:
            return str(error)

    found = processes.run(work, 3, tmp_path)
    assert found[0].item() == found[1].item() == 0.5
    assert found[2] == "group must be one that this process belongs to, got another"


def test_nobody_votes_and_a_nan_shows(tmp_path: Path) -> None:
    """The first row has no votes at all, the second a NaN on one process."""

    def work(rank: int) -> list[Tensor]:
        x, weights = torch.rand(2, 50), torch.rand(2, 50)
        weights[0] = 0
        if rank:
            x[1, 7] = torch.nan
        x.requires_grad_(), weights.requires_grad_()
        histogram = all_reduce_histogram(soft_histogram(x, 8, weights=weights), weights.sum(-1))
        histogram[0].square().sum().backward()
        return [histogram.detach(), x.grad[0], weights.grad[0]]

    for histogram, *slopes in processes.run(work, 2, tmp_path):
        assert histogram.dtype == torch.float32
        assert not histogram[0].any() and histogram[1].isnan().all()
        assert not any(slope.any() for slope in slopes)


def test_alone_it_is_the_histogram_itself() -> None:
    histogram = torch.rand(2, 8)
    assert all_reduce_histogram(histogram, 5) is histogram
    assert torch.equal(all_reduce_sum(histogram), histogram)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda h: all_reduce_histogram([h], 1), TypeError, "histogram must be a floating torch.Tensor, got list"),
        (lambda h: all_reduce_histogram(h.long(), 1), TypeError, "histogram must be a floating torch.Tensor, got torch.int64"),
        (lambda h: all_reduce_histogram(h, "1"), TypeError, "votes must be a real number or a tensor of them, got str"),
        (lambda h: all_reduce_histogram(h, torch.ones(3)), ValueError, r"votes must be one number .* \(2, 8\) .* got \(3,\)"),
        (lambda h: all_reduce_histogram(h, torch.ones(2, 8)), ValueError, r"without its bins, got \(2, 8\)"),
        (lambda h: all_reduce_histogram(h, torch.ones(2, device="meta")), ValueError, "on the device of histogram, expected cpu"),
        (lambda h: all_reduce_histogram(h, 1, gradients="max"), ValueError, "gradients must be 'sum' or 'mean', got 'max'"),
    ],
)
def test_bad_arguments_are_named(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call(torch.rand(2, 8))


EXAMPLES = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "distributed.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_page_s_examples_run(example: str, tmp_path: Path) -> None:
    """In two processes, whose parameters, if there are any, get the same gradients."""

    def work(rank: int) -> list[Tensor]:
        torch.manual_seed(rank)
        given = {name: torch.rand(4, 100) for name in ("source", "target", "saturation")}
        given |= {"network": Painter().float(), "rank": rank}
        exec(example, given)
        model = given.get("model", given["network"])
        return [given["loss"].detach(), *(p.grad for p in model.parameters())]

    first, second = processes.run(work, 2, tmp_path)
    assert torch.equal(first[0], second[0])
    assert all(slope.any() and torch.equal(slope, other) for slope, other in zip(first[1:], second[1:], strict=True))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 2
